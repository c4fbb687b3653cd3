# SPDX-License-Identifier: MIT
"""The daemon goes and comes back: readers go on by themselves, what they hold stays as it was."""

import os
import signal
import stat
import struct

import pytest
from camtap_command import Background
from camtap_testing import (BYE, MODE_OBSERVE, MODE_READ, Connection, Daemon, wait_for)
from loop_reader import LoopReader

RESTARTS = 20
WAYS = [("epoll", "bell"), ("epoll", "messages"), ("glib", "bell"), ("glib", "messages")]


def start(bench, directory):
    """A daemon, always on the same socket."""
    daemon = Daemon("--size", "320x240", "--rate", "60", directory=directory)
    bench.daemons.append(daemon)
    return daemon.wait_until_it_listens()


def left_behind():
    """What the daemon could leave where everybody looks."""
    return set(os.listdir("/dev/shm"))


@pytest.fixture
def directory(bench):
    path = os.path.join(bench.directory, "d")
    os.mkdir(path, 0o755)
    return path


@pytest.fixture
def readers(bench, directory):
    """Four readers of one daemon, which is bench.daemons[0]; each has had frames."""
    daemon = start(bench, directory)
    readers = [LoopReader(bench, daemon.socket, *way) for way in WAYS]
    for reader in readers:
        assert reader.expect("epoch").values["picture"] == 1
    return readers


def names(directory):
    """What is in the daemon's directory, logs left out."""
    return {name for name in os.listdir(directory) if not name.endswith(".log")}


def test_killed_and_started_again(bench, directory, readers):
    """Twenty times SIGKILL at 60 frames per second. Each time each reader holds a frame of the daemon that
    dies: it can be read while there is no daemon, and while the next one publishes, and given back."""
    before = left_behind()
    names_before = names(directory)
    epochs = set()
    for _ in range(RESTARTS):
        held = {}
        for reader in readers:
            held[reader] = reader.ask("hold 1", "held")
            epochs.add(held[reader]["epoch"])
        bench.daemons[-1].signal(signal.SIGKILL)
        assert bench.daemons[-1].wait() == -signal.SIGKILL
        for reader in readers:
            check_held(reader, held[reader])
        start(bench, directory)
        for reader in readers:
            epoch = reader.expect("epoch").values
            assert epoch["epoch"] not in epochs
            assert epoch["picture"] == 1
            reader.await_frames(3)
            check_held(reader, held[reader])
            assert reader.release(1) == [
                {"epoch": held[reader]["epoch"], "id": held[reader]["id"], "result": 0}]
    for reader in readers:
        outcomes = reader.outcomes()
        assert outcomes.count("discontinuity") == RESTARTS
        # a machine so busy that a restart takes more than a second says so, and no more
        assert set(outcomes) <= {"discontinuity", "offline", "online"}
        report = reader.report()
        assert report["torn"] == report["held"] == 0
        assert report["frames"] >= RESTARTS * 3
        reader.quit()
    assert len(epochs) == RESTARTS
    assert left_behind() == before
    assert names(directory) == names_before  # one socket, one lock
    bench.daemons[-1].stop()
    assert names(directory) == set()


def check_held(reader, held):
    """The frame that it holds is what it was."""
    assert reader.check() == [{"epoch": held["epoch"], "id": held["id"], "hash": held["hash"], "torn": 0,
                               "result": 0}]


def test_killed_while_readers_hold_all_they_may(bench, directory, readers):
    """At the lease limit a restart is noticed, and frames come once one is given back."""
    for reader in readers:
        reader.ask("limit", "limit")
    bench.daemons[-1].signal(signal.SIGKILL)
    bench.daemons[-1].wait()
    daemon = start(bench, directory)
    # attached again, though they may take no frame
    wait_for(lambda: len(daemon.stream()["clients"]) == len(readers), "all readers")
    wait_for(lambda: daemon.counters()["published"] > 5, "frames")
    for reader in readers:
        assert not reader.take("epoch")
        assert all(check["torn"] == check["result"] == 0 for check in reader.check())
        assert [released["result"] for released in reader.release(4)] == [0] * 4
        reader.expect("epoch")
        assert reader.outcomes() in (["discontinuity"], ["offline", "online", "discontinuity"],
                                     ["offline", "discontinuity", "online"])
        reader.quit()


def test_stopped_well(bench, directory, readers):
    """SIGTERM: clients get BYE and then the end, the socket is gone; a new daemon has them all again."""
    daemon = bench.daemons[-1]
    with Connection(daemon.socket, MODE_OBSERVE) as observer, \
            Connection(daemon.socket, MODE_READ) as reader_without_pool:
        wait_for(lambda: len(daemon.status()["observers"]) == 2, "the observer")  # and the one that asks
        daemon.stop()
        for connection in (observer, reader_without_pool):
            payload, fds = connection.expect(BYE)
            code, = struct.unpack_from("=I", payload)
            assert (code, fds) == (1, [])
            assert payload[8:].rstrip(b"\0")  # it says why
            assert connection.receive()[0] is None
    assert names(directory) == set()
    start(bench, directory)
    for reader in readers:
        reader.expect("epoch")
        assert reader.outcomes().count("discontinuity") == 1
        reader.quit()


def test_commands_go_on(bench, directory):
    """camtap hz and dump, too: no error, the discontinuity is counted."""
    daemon = start(bench, directory)
    hz = Background(bench, "hz", "--socket", daemon.socket, "--json")
    dump = Background(bench, "dump", "--socket", daemon.socket, "--format", "raw", "--json", "--output",
                      os.path.join(bench.directory, "out"))
    for _ in range(2):
        wait_for(lambda: len(daemon.stream()["clients"]) == 2 and daemon.counters()["published"] > 5,
                 "both commands")
        daemon.signal(signal.SIGKILL)
        daemon.wait()
        daemon = start(bench, directory)
    wait_for(lambda: len(daemon.stream()["clients"]) == 2 and daemon.counters()["published"] > 5,
             "both commands again")
    for command in (hz, dump):
        command.signal(signal.SIGINT)
        summary = command.done().check().json()
        assert summary["discontinuities"] == 2
        assert summary["frames"] > 10


def test_a_socket_left_behind_is_replaced(bench, directory):
    """The one of a daemon that was killed, with nobody listening on it."""
    daemon = start(bench, directory)
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    assert stat.S_ISSOCK(os.stat(daemon.socket).st_mode)
    with pytest.raises(ConnectionRefusedError):
        Connection(daemon.socket)
    start(bench, directory).status()
