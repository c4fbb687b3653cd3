# SPDX-License-Identifier: MIT
"""The daemon is killed again and again, or hangs: readers go on by themselves, and soon."""

import os
import signal
import time

import pytest
from camtap_testing import Tracer, wait_for

FIRST = True  # times are measured

READERS = 16
GOOD_FRAMES = 75  # at 60 a second: a run of more than a second, after which the next start does not wait
ADDED_MS = 50  # what camtap may add to it
WATCHDOG_S = 1.0
NOTICED_S = 1.5 * WATCHDOG_S + 0.05


def service(name):
    return f"camtapd@{name}.service"


def await_epoch(reader, epoch, frames):
    def report():
        report = reader.ask()
        return report if report["epochs"] == epoch and report["epoch_frames"] >= frames else None
    return wait_for(report, f"frames of epoch {epoch}", interval=0.05)


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def distribution(values):
    return " ".join(f"{name} {quantile(values, share):.1f}" for name, share in
                    (("min", 0), ("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1)))


class Nothing:
    """A service that does nothing, in the same sandbox: what systemd and the kernel take to start it again
    is in every gap, and more than all the rest."""

    def __init__(self, machine):
        self.machine = machine
        self.unit = service("nothing")
        machine.drop_in(self.unit, "[Service]", "Type=exec", "WatchdogSec=0", "ExecStart=",
                        "ExecStart=/bin/sleep infinity")
        machine.systemctl("start", self.unit)

    def restart_time(self):
        """From SIGKILL until its program runs again, in ms."""
        killed = time.monotonic()
        os.kill(self.machine.process(self.unit), signal.SIGKILL)

        def started():
            at = int(self.machine.show(self.unit, "ActiveEnterTimestampMonotonic")) / 1e6
            return at if at > killed else None

        return 1e3 * (wait_for(started, "the next start", interval=0.1) - killed)


@pytest.mark.parametrize("kills,share", (
    (15, 0.9),  # the 99th percentile would be the worst of them, which may be anybody's fault
    pytest.param(100, 0.99, marks=pytest.mark.long)))
@pytest.mark.limit(600)
def test_killed_under_sixteen_readers(machine, kills, share):
    """Each reader resumes each time; no frame is torn, none has an error. A gap is from the last frame in a
    reader's hand to the next one."""
    name = f"killed-{kills}"
    nothing = Nothing(machine)
    machine.start_camera(name, "size = 640x360", "rate = 60")
    readers = [machine.reader(name, "--verify", "--name", f"reader-{number}") for number in range(READERS)]
    gaps, without = [], []
    for epoch in range(1, kills + 2):
        reports = [await_epoch(reader, epoch, GOOD_FRAMES) for reader in readers]
        if epoch > 1:
            gaps += [report["epoch_gap_ms"] for report in reports]
            without.append(nothing.restart_time())
        if epoch <= kills:
            os.kill(machine.process(service(name)), signal.SIGKILL)
    for reader in readers:
        report = reader.finish()
        assert (report["torn"], report["order_errors"], report["error"]) == (0, 0, 0)
        assert report["epochs"] == kills + 1
    assert machine.show(service(name), "NRestarts") == str(kills)
    assert machine.show(f"camtapd@{name}.socket", "ActiveState") == "active"
    machine.systemctl("stop", "camtapd@nothing.socket", f"camtapd@{name}.socket")
    print(f"{len(gaps)} gaps, ms: {distribution(gaps)}")
    print(f"a program that does nothing, started again, ms: {distribution(without)}")
    assert quantile(gaps, share) - quantile(without, share) <= ADDED_MS


class Hang:
    """A thread of a service's daemon, stopped."""

    def __init__(self, machine, name, thread):
        self.pid = machine.process(service(name))
        self.thread = self.pid if thread == "server" else self._find(thread)
        self.began = time.monotonic()
        self.tracer = Tracer(self.thread)

    def _find(self, name):
        for number in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{number}/comm") as file:
                if file.read().strip() == name:
                    return int(number)
        raise AssertionError(f"no thread {name}")

    def has_died(self):
        """A process ends when its tracer has taken note of it."""
        try:
            os.waitpid(self.thread, os.WNOHANG | 0x40000000)  # __WALL
        except ChildProcessError:
            pass
        return not os.path.exists(f"/proc/{self.pid}")


@pytest.mark.parametrize("thread", ("capture", "server"))
def test_a_thread_that_hangs(machine, thread):
    """Noticed by the watchdog, and mended. The server's is the process's first thread."""
    name = f"hangs-{thread}"
    machine.drop_in(service(name), "[Service]", f"WatchdogSec={WATCHDOG_S}")
    machine.start_camera(name, "size = 320x240", "rate = 60")
    reader = machine.reader(name)
    await_epoch(reader, 1, GOOD_FRAMES)
    hang = Hang(machine, name, thread)
    wait_for(hang.has_died, "the daemon is killed", interval=0.002)
    await_epoch(reader, 2, 5)
    back = int(machine.show(service(name), "ActiveEnterTimestampMonotonic")) / 1e6 - hang.began
    print(f"{thread} stopped: back after {back:.3f} s")
    assert machine.show(service(name), "NRestarts") == "1"
    assert any("Watchdog timeout" in entry["MESSAGE"] for entry in machine.journal(service(name)))
    assert back <= NOTICED_S
    reader.finish()
