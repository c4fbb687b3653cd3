# SPDX-License-Identifier: MIT
"""Clients and daemons of different versions: messages, structures and strides may be longer or shorter
than the other side knows, and there may be messages and values that it has never heard of."""

import fcntl
import mmap
import os
import select
import struct

import newer_daemon
import pytest
from camtap_command import camtap
from camtap_testing import (FORMAT, FRAME, HELLO, MODE_LOSSLESS, PATIENCE, READY, REFUSED, SOURCE, STATUS,
                            WELCOME, Connection)
from loop_reader import LoopReader
from newer_daemon import FRAMES, GROWN, HEIGHT, LEAST, NOW, WIDTH, NewerDaemon, picture

# ---- clients of other versions ----

SHORTEST = struct.pack("=II", 1, 1)
AS_KNOWN = struct.pack("=IIQII72s128s", 1, 1, 0, 0, 0, b"as known", b"")
LONGER = struct.pack("=IIQII72s128s", 1, 9, 1 << 40 | 1 << 63, 0, 0, b"longer", b"") + b"\xff" * 500


def attach(connection, hello, tail=b""):
    """HELLO to READY. WELCOME's payload, the pool."""
    connection.send(HELLO, hello)
    welcome, fds = connection.expect(WELCOME)
    assert fds == []  # what a reader is woken by comes with FORMAT
    form, fds = connection.expect(FORMAT)
    _, pool_size, guard_size = struct.unpack_from("=QQI", form)
    pool = mmap.mmap(fds[0], pool_size, mmap.MAP_SHARED, mmap.PROT_READ)
    guard = mmap.mmap(fds[1], guard_size)
    fcntl.fcntl(fds[1], newer_daemon.F_ADD_SEALS, newer_daemon.FUTURE_WRITE | newer_daemon.SEAL)
    for fd in fds:
        os.close(fd)
    connection.send(READY, form[:8] + tail)
    return welcome, pool, guard


@pytest.mark.parametrize("hello", [SHORTEST, AS_KNOWN, AS_KNOWN[:30], LONGER],
                         ids=["shortest", "as known", "cut in the middle", "longer"])
def test_hello_of_any_version(bench, hello):
    """24 bytes are enough; what the daemon does not know it ignores, and says what it grants."""
    daemon = bench.daemon("--size", "320x240", "--name", "growing")
    with Connection(daemon.socket, hello=False) as connection:
        welcome, pool, guard = attach(connection, hello)
        version, max_leases, features, mode = struct.unpack_from("=IIQI", welcome)
        assert (version, max_leases, features, mode) == (1, 4, 0, 0)
        assert welcome[24:].rstrip(b"\0") == b"growing"
        for _ in range(3):
            frame, _ = connection.expect(FRAME)
            epoch, position = struct.unpack_from("=QQ", frame)
            assert epoch == struct.unpack_from("=Q", pool, 24)[0]
            assert position <= struct.unpack_from("=Q", pool, 192)[0]
        guard.close()


def test_longer_requests(bench):
    """READY, RELEASED and STATUS may grow as well."""
    daemon = bench.daemon("--size", "320x240")
    with Connection(daemon.socket, hello=False) as connection:
        _, _, guard = attach(connection, LONGER, tail=b"\xff" * 100)
        connection.expect(FRAME)
        connection.send(3, b"\xff" * 64)
        connection.send(STATUS, b"\xff" * 4080)
        _, fds = connection.expect(STATUS)
        os.close(fds[0])
        connection.expect(FRAME)
        guard.close()
    assert daemon.counters()["published"] > 0


@pytest.mark.parametrize("versions", [(2, 9), (0, 0)])
def test_no_common_version(bench, versions):
    """The one thing that cannot be bridged is said in words."""
    daemon = bench.daemon("--size", "320x240")
    with Connection(daemon.socket, hello=False) as connection:
        connection.send(HELLO, struct.pack("=II", *versions))
        payload, _ = connection.expect(REFUSED)
        code, = struct.unpack_from("=I", payload)
        assert code == 3
        assert b"update the older of the two" in payload[8:]
        assert connection.receive()[0] is None


def test_lossless_by_the_shortest_hello(bench):
    """A daemon that makes every reader lossless says so to one that has no word for it."""
    daemon = bench.daemon("--size", "320x240", "--lossless")
    with Connection(daemon.socket, hello=False) as connection:
        connection.send(HELLO, SHORTEST)
        welcome, _ = connection.expect(WELCOME)
        assert struct.unpack_from("=I", welcome, 16)[0] == MODE_LOSSLESS
        connection.expect(SOURCE)


# ---- daemons of other versions ----

VERSIONS = {
    "as known": dict(layout=NOW),
    "longer messages": dict(layout=NOW, grow=200),
    "unknown messages": dict(layout=NOW, unknown=True),
    "wider pool": dict(layout=GROWN),
    "all of it": dict(layout=GROWN, grow=1000, unknown=True),
    "shorter messages": dict(layout=LEAST, cut=True),
}


@pytest.fixture(params=VERSIONS.values(), ids=VERSIONS.keys())
def other(request, bench):
    with NewerDaemon(os.path.join(bench.directory, "socket"), **request.param) as daemon:
        yield daemon


def test_every_frame_of_another_daemon(bench, other):
    """camtap dump gets all frames, in order, with the pixels that are in them."""
    done = camtap("dump", "--socket", other.path, "--count", FRAMES, "--format", "ppm", "--output", "-")
    done.check()
    header = f"{WIDTH} {HEIGHT}\n255\n".encode()
    pictures = [part.split(header, 1)[1] for part in done.output.split(b"P5\n")[1:]]
    assert pictures == [picture(position) for position in range(1, FRAMES + 1)]
    assert "missed 0" in done.error
    assert len(other.hello) == 240


def test_measuring_another_daemon(bench, other):
    """camtap hz: the recording's end is understood, too."""
    measured = camtap("hz", "--socket", other.path, "--json").check().json()
    assert (measured["frames"], measured["missed"], measured["discontinuities"]) == (FRAMES, 0, 0)
    assert measured["camera"] == ("camera" if other.cut else "newer")


@pytest.mark.parametrize("loop", ["epoll", "glib"])
def test_event_loop_on_another_daemon(bench, other, loop):
    """In an event loop what is not understood wakes once, and is gone."""
    reader = LoopReader(bench, other.path, loop)
    reader.expect("outcome", what="ended")
    report = reader.report()
    assert (report["frames"], report["missed"]) == (FRAMES, 0)
    assert report["idle"] <= FRAMES + 24  # at most each message by itself
    assert [line.values["what"] for line in reader.take("outcome")] == []
    reader.quit()
    # what came along with messages that nobody knows was closed
    assert len(other.pipes) == (2 + FRAMES // 10 if other.unknown else 0)
    for pipe in other.pipes:
        assert select.select([pipe], [], [], PATIENCE)[0] and os.read(pipe, 1) == b""


def test_fds_of_unknown_messages_are_closed_at_once(bench):
    """Not only when the program ends."""
    with NewerDaemon(os.path.join(bench.directory, "socket"), NOW, unknown=True) as daemon:
        reader = LoopReader(bench, daemon.path)
        reader.expect("outcome", what="ended")
        for pipe in daemon.pipes:
            assert select.select([pipe], [], [], PATIENCE)[0]
        assert reader.report()["frames"] == FRAMES
        reader.quit()


def test_status_of_another_daemon(bench, other):
    """camtap info: keys that it does not know stay in --json, and do not disturb the text."""
    assert camtap("info", "--socket", other.path, "--json").check().json() == other.status()
    text = camtap("info", "--socket", other.path).check().output.decode()
    assert "newer" in text and f"{WIDTH}x{HEIGHT}" in text
