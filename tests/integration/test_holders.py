# SPDX-License-Identifier: MIT
"""Readers that hold frames for long, or stop: capture goes on, and the others lose nothing."""

import fcntl
import mmap
import os
import signal
import struct
import time

from camtap_testing import FORMAT, FRAME, MODE_READ, READY, Connection, wait_for

RATE = 15
F_SEAL_FUTURE_WRITE = 0x10  # linux/fcntl.h


def run_for(seconds):
    """Lets the programs run: that time is what is measured."""
    time.sleep(seconds)


def test_capture_never_waits(bench):
    """Two hold all that they may, for ever, a third one each frame for a second. That is more than
    the pool has beside what the source needs, so leases must be revoked with every frame. (While it
    is so, a frame that nobody holds lives for one period: hence a slow source.)"""
    daemon = bench.daemon(
        "--size", "640x360", "--rate", str(RATE), "--slots", "8", "--max-leases", "6", nice=-10
    )
    # the same camera without them: what this machine, busy as it may be, makes of that rate
    control = bench.daemon("--size", "640x360", "--rate", str(RATE), nice=-10)
    bench.reader(control, "--verify", nice=-10)
    options = {
        "greedy-1": ["--hold-frames", 6, "--hold-ms", 1000000],
        "greedy-2": ["--hold-frames", 6, "--hold-ms", 1000000, "--latest"],
        "slow": ["--hold-ms", 1000],
        "fast-1": [],
        "fast-2": ["--messages"],
    }
    readers = {
        name: bench.reader(daemon, "--verify", "--name", name, *more, nice=-10)
        for name, more in options.items()
    }
    wait_for(lambda: daemon.counters()["revoked"] > 0, "the first revocation")
    before, control_before = daemon.counters()["published"], control.counters()["published"]
    run_for(5)
    stream = daemon.stream()
    counters = {name: int(value) for name, value in stream["counters"].items()}
    leases = {client["name"]: client["leases"] for client in stream["clients"]}
    published = counters["published"] - before
    expected = control.counters()["published"] - control_before
    assert abs(published - expected) <= 5, "whoever holds what, the frames come on the beat"
    assert counters["pool_empty"] == 0
    # 8 slots: two are the source's, one is the newest
    assert all(5 <= leases[name] <= 6 for name in ("greedy-1", "greedy-2")), leases
    assert counters["revoked"] >= 5 * RATE

    reports = {name: readers[name].finish() for name in ("fast-1", "fast-2")}
    for report in reports.values():
        assert report["missed"] == 0 and report["stale"] == 0, (report, reports)
    # Both sides' counts must agree: whose lease was revoked was told so, and nobody else was.
    reports |= {name: readers[name].finish() for name in ("greedy-1", "greedy-2", "slow")}
    for name, report in reports.items():
        assert report["torn"] == 0 and report["order_errors"] == 0, (name, report)
    assert reports["greedy-1"]["stale"] > 0 and reports["greedy-2"]["stale"] > 0
    assert sum(r["stale"] for r in reports.values()) == daemon.counters()["revoked"], reports


def test_stopped_reader(bench):
    """SIGSTOP with leases held, until its queue is full by far."""
    daemon = bench.daemon("--size", "160x120", "--rate", "300", "--slots", "64")
    steady = bench.steady(daemon)
    hold = ["--verify", "--hold-frames", 4, "--hold-ms", 20]
    stopped = [
        bench.reader(daemon, *hold, "--name", "stopped-1", "--messages"),
        bench.reader(daemon, *hold, "--name", "stopped-2"),
    ]

    def said():
        return {client["name"]: client for client in daemon.stream()["clients"]}

    wait_for(lambda: all(reader.ask()["held"] > 0 for reader in stopped), "leases")
    for reader in stopped:
        reader.signal(signal.SIGSTOP)
    wait_for(
        lambda: all(int(said()[f"stopped-{n}"]["missed"]) > 300 for n in (1, 2)),
        "both have lost announcements",
        interval=0.1,
    )
    assert all(said()[f"stopped-{n}"]["leases"] <= 4 for n in (1, 2))
    for reader in stopped:
        reader.signal(signal.SIGCONT)
    wait_for(
        lambda: all(
            reader.ask()["last"] >= daemon.counters()["published"] - 60 for reader in stopped
        ),
        "both are in step again",
        interval=0.02,
    )
    for reader in stopped:
        report = reader.finish()
        assert report["frames"] + report["missed"] == report["last"] - report["first"] + 1, report
        assert report["missed"] > 300 and report["order_errors"] == 0, report
        assert report["torn"] == 0, report
    report = steady.finish()
    assert report["missed"] == 0 and report["stale"] == 0 and report["order_errors"] == 0, report


class Listener(Connection):
    """Hears FRAME messages, without libcamtap, and takes no frame."""

    def __init__(self, path):
        super().__init__(path, MODE_READ, "listener")
        payload, (pool, guard) = self.expect(FORMAT)
        epoch, _, guard_size = struct.unpack_from("=QQI", payload)
        self.guard = mmap.mmap(guard, guard_size)
        fcntl.fcntl(guard, fcntl.F_ADD_SEALS, F_SEAL_FUTURE_WRITE | fcntl.F_SEAL_SEAL)
        os.close(pool)
        os.close(guard)
        self.send(READY, struct.pack("=Q", epoch))

    def position(self):
        return struct.unpack_from("=QQ", self.expect(FRAME)[0])[1]


def test_lost_announcements_are_counted_exactly(bench):
    """What is heard and what the daemon says is lost are together what was published."""
    daemon = bench.daemon("--size", "160x120", "--rate", "300")
    with Listener(daemon.socket) as listener:
        heard = [listener.position()]

        def lost():
            return int(daemon.clients("listener")[0]["missed"])

        wait_for(lambda: lost() > 200, "its queue is full, and over", interval=0.05)
        before = daemon.counters()["published"]
        while heard[-1] < before + 30:  # in step again
            heard.append(listener.position())
        if heard[0] == heard[1]:  # a new reader is told of the newest frame once more: protocol.md
            heard.pop(0)
        assert heard == sorted(set(heard))
        assert heard[-1] - heard[0] + 1 == len(heard) + lost()
        # of the camera's counter it is all
        assert daemon.counters()["client_slow"] == lost()


def test_reader_asks_for_status(bench):
    """Its queue is never empty, for frames are announced in it; each question is answered all the
    same."""
    daemon = bench.daemon("--size", "160x120", "--rate", "300")
    with Listener(daemon.socket) as listener:
        for _ in range(8):
            published = daemon.counters()["published"]
            wait_for(lambda: daemon.counters()["published"] > published + 100, "a hundred frames")
            assert listener.status()["state"] == "streaming"
