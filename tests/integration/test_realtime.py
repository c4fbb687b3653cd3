# SPDX-License-Identifier: MIT
"""Real-time scheduling of the thread that captures."""

import os
import pathlib
import re

import pytest
from camtap_testing import MODE_READ, wait_for

NOBODY = 65534
PRIORITY = 7
FIFO = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK


def scheduling(daemon):
    """{thread's name: (policy, priority)}"""
    found = {}
    for thread in pathlib.Path(f"/proc/{daemon.pid}/task").iterdir():
        number = int(thread.name)
        found[(thread / "comm").read_text().strip()] = (
            os.sched_getscheduler(number), os.sched_getparam(number).sched_priority)
    return found


def may_be_realtime():
    """Does the kernel permit it to a child of this process?"""
    pid = os.fork()
    if pid == 0:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def read(bench, daemon):
    reader = bench.steady(daemon)
    wait_for(lambda: reader.ask()["frames"] > 5, "frames")


def test_only_the_thread_that_captures_is_realtime(bench):
    if not may_be_realtime():
        pytest.skip("real-time scheduling is forbidden here")
    daemon = bench.daemon("--realtime", str(PRIORITY), "--size", "64x48")
    read(bench, daemon)
    bench.connection(daemon, MODE_READ, "derived", True, "GREY:32x24")
    found = wait_for(lambda: (threads := scheduling(daemon)).get("converter") and threads, "the converter")
    assert found.pop("capture") == (FIFO, PRIORITY)
    assert {"camtapd", "reaper", "converter"} <= set(found)
    assert set(found.values()) == {(os.SCHED_OTHER, 0)}


def test_commands_are_not_realtime(bench):
    """What the thread starts does not inherit it."""
    if not may_be_realtime():
        pytest.skip("real-time scheduling is forbidden here")
    daemon = bench.daemon("--realtime", str(PRIORITY), "--raw", "GREY:64x48,rate=30",
                          source="exec:cat /dev/zero")
    read(bench, daemon)
    capture = next(int(thread.name) for thread in pathlib.Path(f"/proc/{daemon.pid}/task").iterdir()
                   if (thread / "comm").read_text() == "capture\n")
    assert os.sched_getscheduler(capture) == FIFO
    children = pathlib.Path(f"/proc/{daemon.pid}/task/{capture}/children").read_text().split()
    assert children and {os.sched_getscheduler(int(child)) for child in children} == {os.SCHED_OTHER}


def test_off_unless_asked_for(bench):
    daemon = bench.daemon("--size", "64x48")
    read(bench, daemon)
    assert set(scheduling(daemon).values()) == {(os.SCHED_OTHER, 0)}


def test_where_it_is_forbidden_frames_come_without(bench):
    """A warning says what to do."""
    daemon = bench.daemon("--realtime", str(PRIORITY), "--size", "64x48", wrapper=["prlimit", "--rtprio=0"],
                          uid=NOBODY if os.geteuid() == 0 else None)
    daemon.expect_log("realtime = 7: ")
    read(bench, daemon)
    assert set(scheduling(daemon).values()) == {(os.SCHED_OTHER, 0)}
    line, = daemon.complaints()
    assert re.match(r"<4>.*realtime = 7: Operation not permitted: goes on without; ", line)
    for remedy in ("LimitRTPRIO=7", "RestrictRealtime=no", "SystemCallFilter=sched_setscheduler", "realtime.conf"):
        assert remedy in line
