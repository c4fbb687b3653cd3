# SPDX-License-Identifier: MIT
"""One camera's trouble is no other's, and is not tried again without end."""

import os
import signal
import time

import pytest
from camtap_testing import wait_for

FAILURES = 6
GOOD_S = 1.0  # how long the daemon must last to have been good


def service(name):
    return f"camtapd@{name}.service"


def starts(machine, name):
    """How often the daemon was begun with."""
    return sum(entry.get("MESSAGE", "").startswith(f"Starting {service(name)}")
               for entry in machine.journal(service(name)))


def test_a_crash_loop_touches_nobody_else(machine):
    """Killed as soon as it is ready, again and again: the first start is at once, later ones wait longer and
    longer; its own socket stays, and the other camera's readers do not notice."""
    machine.start_camera("good", "size = 320x240", "rate = 60")
    reader = machine.reader("good")
    wait_for(lambda: reader.ask()["frames"] > 5, "frames")
    machine.start_camera("bad", "size = 320x240")
    machine.systemctl("start", service("bad"))
    ready = killed = failures = kills = 0
    while failures < FAILURES:
        def next_start():
            at = int(machine.show(service("bad"), "ActiveEnterTimestampMonotonic")) / 1e6
            return at if at > ready and machine.show(service("bad"), "SubState") == "running" else None

        ready = wait_for(next_start, "it is ready again", interval=0.01)
        if failures >= 2:  # the first one is restarted at once
            pause = ready - killed
            print(f"after {failures} failures: {pause:.2f} s")
            assert pause >= 0.1 * 2 ** (failures - 2)
        os.kill(machine.process(service("bad")), signal.SIGSEGV)
        killed = time.monotonic()
        kills += 1
        # a test that comes late lets it live for so long that the run was a good one
        failures = failures + 1 if killed - ready < GOOD_S - 0.1 else 0
        assert kills < 10 * FAILURES, "the machine is too busy for this test"
    wait_for(lambda: machine.show(service("bad"), "NRestarts") == str(kills), "the last restart", interval=0.02)
    for name in ("good", "bad"):
        assert machine.show(f"camtapd@{name}.socket", "ActiveState") == "active"
    waiting = reader.ask()
    wait_for(lambda: reader.ask()["frames"] > waiting["frames"] + 10, "more frames")
    # stopped while it waits, and started: its directories and the other's are what they were
    machine.systemctl("stop", "camtapd@bad.socket")
    assert machine.path("/run/camtap/good/socket").is_socket()
    assert machine.path("/run/camtapd/good").is_dir()
    assert machine.path("/run/camtapd/bad").is_dir()
    report = reader.finish()
    assert (report["epochs"], report["missed"], report["error"]) == (1, 0, 0)
    assert machine.show(service("good"), "NRestarts") == "0"
    assert not machine.complaints(service("good"))


def test_a_crash_under_readers_that_come_back(machine):
    """Nobody's patience is tried: what readers do does not make the pauses shorter."""
    machine.start_camera("wanted", "size = 320x240", "rate = 60")
    reader = machine.reader("wanted")
    began = time.monotonic()
    epochs = 0
    for _ in range(5):
        wait_for(lambda: reader.ask()["epochs"] > epochs, "a frame", interval=0.01)
        epochs = reader.ask()["epochs"]
        os.kill(machine.process(service("wanted")), signal.SIGSEGV)
    assert time.monotonic() - began >= 0.1 + 0.2 + 0.4
    machine.systemctl("stop", "camtapd@wanted.socket")
    assert machine.show(service("wanted"), "ActiveState") in ("inactive", "failed")


def test_a_wrong_configuration_is_tried_once(machine):
    """Who waits is told what is wrong; the next one finds it mended."""
    machine.start_camera("wrong", "sise = 320x240")
    refused = machine.camtap("hz", "wrong", "--count", "1", check=False)
    assert refused.returncode == 1
    assert "/etc/camtap/wrong.conf:3" in refused.stderr and "sise" in refused.stderr
    wait_for(lambda: machine.show(service("wrong"), "ActiveState") == "failed", "it has ended", interval=0.02)
    assert machine.show(service("wrong"), "ExecMainStatus") == "2"
    assert machine.show(service("wrong"), "NRestarts") == "0"
    assert machine.show("camtapd@wrong.socket", "ActiveState") == "active"
    assert starts(machine, "wrong") == 1
    machine.configure("wrong", "size = 320x240")
    machine.camtap("hz", "wrong", "--count", "5")
    assert starts(machine, "wrong") == 2
    assert machine.show(service("wrong"), "ActiveState") == "active"


@pytest.mark.long
def test_readers_that_ask_for_a_wrong_configuration_again_and_again(machine):
    """Each is told, later and later; the socket stays."""
    machine.start_camera("asked", "sise = 320x240")
    began = time.monotonic()
    for _ in range(5):
        assert "sise" in machine.camtap("hz", "asked", "--count", "1", check=False).stderr
    assert time.monotonic() - began >= 0.1 + 0.2 + 0.4
    assert machine.show("camtapd@asked.socket", "ActiveState") == "active"
    assert starts(machine, "asked") == 5
