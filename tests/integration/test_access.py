# SPDX-License-Identifier: MIT
"""Who may read: the socket's mode, and section [Access]. Readers are other users here, so only root can
run most of it."""

import grp
import os
import pwd
import signal
import struct

import pytest
from camtap_command import Background, camtap, run
from camtap_testing import (
    BYE, HELLO, MODE_LOSSLESS, MODE_OBSERVE, MODE_READ, REFUSED, WELCOME, Connection, build_path, wait_for,
)

ACCESS = 5  # enum wire_code
ALICE, BOB = 4001, 4002  # nobody's
LAB, STAFF = 4101, 4102

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can be other users")


def hz(daemon, uid, gid=None, groups=(), *more):
    return camtap("hz", "--socket", daemon.socket, "--count", 3, "--timeout", "20s", *more, user=uid,
                  group=uid if gid is None else gid, extra_groups=list(groups))


def open_daemon(bench, *arguments):
    daemon = bench.daemon("--size", "160x120", *arguments)
    daemon.let_in_everybody()
    return daemon


@as_root
def test_by_user(bench):
    name = pwd.getpwuid(1).pw_name
    daemon = open_daemon(bench, "--users", f"{name}, {ALICE}")
    hz(daemon, 1).check()
    hz(daemon, ALICE).check()
    hz(daemon, 0).check()
    daemon.expect_log(f"client [0-9]+ of uid {BOB} was refused: ")
    done = hz(daemon, BOB, gid=ALICE)
    done.check_line(1, rf"^camtap: .*/socket: uid {BOB} may not read camera pattern; \[Access\] .* ask")
    assert len(daemon.complaints()) == 1 and "camtap hz" in daemon.complaints()[0]
    # ... whatever it wants to read, and it may look
    hz(daemon, BOB, None, (), "--stream", "GREY:80x60").check_line(1, "may not read")
    done = camtap("info", "--socket", daemon.socket, user=BOB, group=BOB, extra_groups=[]).check()
    assert f"\n  access    users {name}, {ALICE}\n".encode() in done.output
    assert daemon.status()["access"] == {"users": f"{name}, {ALICE}", "groups": None}


@as_root
def test_by_group(bench):
    name = grp.getgrgid(4).gr_name
    daemon = open_daemon(bench, "--groups", f"{LAB} {name}")
    hz(daemon, ALICE, gid=LAB).check()
    hz(daemon, ALICE, groups=[STAFF, LAB]).check()
    hz(daemon, ALICE, groups=[4]).check()
    daemon.expect_log("was refused")
    done = hz(daemon, LAB, gid=STAFF, groups=[STAFF])
    done.check_line(1, rf"members of group {LAB} {name} may: ask .* log in again$")


@as_root
def test_user_or_group(bench):
    daemon = open_daemon(bench, "--users", str(ALICE), "--groups", str(LAB))
    daemon.expect_log("was refused")
    hz(daemon, ALICE).check()
    hz(daemon, BOB, groups=[LAB]).check()
    hz(daemon, BOB).check_line(1, f"some users and members of group {LAB} may")


@as_root
def test_modes(bench):
    """To read in any mode is to read; to observe is not."""
    daemon = open_daemon(bench, "--users", str(ALICE))
    daemon.expect_log("was refused")
    for mode, kind in ((MODE_READ, REFUSED), (MODE_LOSSLESS, REFUSED), (MODE_OBSERVE, WELCOME)):
        # a program that connects with the rights of BOB
        os.seteuid(BOB)
        try:
            connection = Connection(daemon.socket, mode=mode)
        finally:
            os.seteuid(0)
        with connection:
            payload, _ = connection.expect(kind)
            if kind == REFUSED:
                assert struct.unpack_from("=I", payload)[0] == ACCESS


@as_root
def test_nobody_is_not_everybody(bench):
    """Names that nobody has let nobody in, and are told at the start and by --check-config."""
    daemon = open_daemon(bench, "--users=no-such-user", "--groups", "no-such-group")
    warnings = ["users: there is no user no-such-user", "groups: there is no group no-such-group"]
    for warning in warnings:
        daemon.expect_log(warning)
    daemon.expect_log("was refused")
    hz(daemon, BOB).check_line(1, "may not read")
    hz(daemon, 0).check()
    assert len(daemon.complaints()) == 3
    done = run(build_path("daemon/camtapd"), "--source", "pattern:", "--users=no-such-user", "--groups",
               "no-such-group", "--check-config").check()
    assert done.output.endswith(b"are right\n") and done.error.count("\n") == 2
    assert all(warning in done.error for warning in warnings)


@as_root
def test_the_socket_is_not_for_everybody(bench):
    daemon = bench.daemon()
    for command in ("hz", "info"):
        done = camtap(command, "--socket", daemon.socket, user=BOB, group=BOB, extra_groups=[])
        done.check_line(1, r"permission denied.*group camtap.*usermod -aG camtap.*log in again$")
    os.chown(daemon.socket, 0, LAB)
    hz(daemon, BOB, groups=[LAB]).check()
    assert not daemon.complaints()


# ---- what is logged of it ----


def lines(daemon):
    """The log, without numbers that differ."""
    return [line.replace("<6>camtapd: pattern: ", "") for line in daemon.log().splitlines()]


def test_readers_come_and_go(bench):
    """Two lines for each reader, one for each change of state, none for who only looks."""
    daemon = bench.daemon("--size", "160x120", "--idle-timeout", "0")
    readers = [Background(bench, "hz", "--socket", daemon.socket) for _ in range(2)]
    wait_for(lambda: len(daemon.clients("camtap hz")) == 2, "the readers")
    wait_for(lambda: daemon.status()["state"] == "streaming", "frames")
    camtap("info", "--socket", daemon.socket).check()
    derived = Background(bench, "hz", "--socket", daemon.socket, "--stream", "GREY:80x60")
    wait_for(lambda: len(daemon.status()["streams"]) == 2, "the stream")
    for reader in [*readers, derived]:
        reader.signal(2)
        reader.done()
    wait_for(lambda: "off: " in daemon.log(), "the end")
    who = [f"reader {reader.pid} of uid {os.getuid()} " for reader in [*readers, derived]]
    claims = ' (camtap, "camtap hz")'
    seen = lines(daemon)
    for prefix, stream in zip(who, ("native", "native", "GREY:80x60")):
        own = [line[len(prefix):] for line in seen if line.startswith(prefix)]
        assert len(own) == 2 and own[0] == f"reads {stream}{claims}", own
        assert own[1].startswith("is gone after ") and own[1].endswith(f" s{claims}"), own
    assert [line for line in seen if not line.startswith("reader ")] == [
        "streaming NV12 160x120 at 60 fps, zero-copy (drawn into the pool)",
        "off: nobody reads",
    ]


def test_readers_that_are_sent_away(bench):
    daemon = bench.daemon("--max-clients", "2", "--size", "160x120")
    reader = bench.steady(daemon)
    with Connection(daemon.socket) as observer:
        observer.status()
        # who comes again and again is one line, until there is room
        for _ in range(3):
            with Connection(daemon.socket, hello=False) as connection:
                assert connection.expect(REFUSED)
    refused = [line for line in lines(daemon) if "was refused: 2 clients are attached" in line]
    assert len(refused) == 1 and refused[0].startswith(f"client {os.getpid()} of uid ")
    with wait_for(lambda: attach(daemon), "room for a client"):
        with Connection(daemon.socket, hello=False) as connection:
            assert connection.expect(REFUSED)
    assert len([line for line in lines(daemon) if "was refused" in line]) >= 2
    daemon.stop()
    assert lines(daemon)[-1].startswith(f"reader {reader.pid} of uid {os.getuid()} is gone after ")
    assert 'camtapd stops (reader, "steady")' in lines(daemon)[-1]


def attach(daemon):
    """An observer, if there is room."""
    connection = Connection(daemon.socket)
    try:
        connection.status()
        return connection
    except (AssertionError, ConnectionResetError):
        connection.close()
        return None


def test_nobody_floods_the_log(bench):
    daemon = bench.daemon("--size", "160x120", "--max-clients", "1000", "--max-clients-per-uid", "1000")
    with Connection(daemon.socket) as steady:
        steady.status()
        for _ in range(400):
            with Connection(daemon.socket, mode=MODE_READ) as connection:
                connection.expect(WELCOME)
    wait_for(lambda: not daemon.stream()["clients"], "their end")
    assert 200 <= daemon.log().count("\n") <= 210
    daemon.stop()
    assert len(daemon.complaints()) == 1
    assert f"lines about clients of uid {os.getuid()} were left out" in daemon.complaints()[0]


@as_root
def test_reload(bench):
    """Who may not read any more is told so, and gone; the others do not notice."""
    path = os.path.join(bench.directory, "camera.conf")

    def write(users):
        with open(path, "w") as file:
            file.write(f"[Camera]\nsize = 160x120\n[Access]\nusers = {users}\n")

    write(f"{ALICE} {BOB}")
    daemon = bench.daemon("--config", path)
    daemon.let_in_everybody()
    stays, goes = (Background(bench, "hz", "--socket", daemon.socket, "--json",
                              wrapper=["setpriv", f"--reuid={uid}", "--clear-groups"]) for uid in (ALICE, BOB))
    wait_for(lambda: len(daemon.stream()["clients"]) == 2, "both readers")
    write(f"{ALICE}")
    daemon.expect_log("may not read")
    daemon.signal(signal.SIGHUP)
    goes.done().check_line(1, f"uid {BOB} may not read camera")
    assert [client["uid"] for client in daemon.stream()["clients"]] == [ALICE]
    stays.signal(signal.SIGINT)
    assert stays.done().check().json()["discontinuities"] == 0
