# SPDX-License-Identifier: MIT
"""A camera's service from its first reader to its end, as systemctl sees it."""

import json
import os
import time

import pytest
from camtap_testing import BYE, MODE_READ, WELCOME, wait_for
from machine import CHIEF

# MESSAGE_ID=: daemon/log-messages.h
RELOADED = "7bf1cb54bd3345a3ada33b539dcb9e51"
STREAMING = "b4cefab7efe34137a997d62fb6fba9fb"


def service(name):
    return f"camtapd@{name}.service"


def state(machine, name):
    return machine.show(service(name), "ActiveState")


def wait_for_status(machine, name, *words):
    """The text of `systemctl status`, once it has these words in it."""
    def text():
        text = machine.show(service(name), "StatusText")
        return text if all(word in text for word in words) else None
    return wait_for(text, f"a status with {words}", interval=0.02)


@pytest.fixture
def steady(machine, request):
    """Starts a camera of the test's name, and a reader that has had frames."""
    name = request.node.originalname.replace("test_", "")

    def start(*lines):
        machine.start_camera(name, "size = 320x240", "rate = 60", *lines)
        reader = machine.reader(name)
        await_frames(reader)
        return name, reader

    return start


def await_frames(reader, epochs=1, frames=5):
    """Waits until it has some of that epoch."""
    def report():
        report = reader.ask()
        return report if report["epochs"] == epochs and report["epoch_frames"] >= frames else None
    return wait_for(report, f"frames of epoch {epochs}", interval=0.02)


def test_the_first_reader_starts_it(machine):
    machine.start_camera("first", "size = 320x240", "idle_timeout = 0")
    assert state(machine, "first") == "inactive"
    machine.camtap("hz", "first", "--count", "10")
    assert state(machine, "first") == "active"
    wait_for_status(machine, "first", "idle", "0 readers")
    assert machine.show(service("first"), "NRestarts") == "0"
    assert not machine.complaints(service("first"))


def test_enabled(machine):
    """At the next start of the machine, too; and off in one command."""
    machine.configure("enabled", "size = 320x240")
    machine.systemctl("enable", "--now", "camtapd@enabled.socket")
    machine.camtap("hz", "enabled", "--count", "2")
    wanted = machine.systemctl("show", "--value", "--property=Wants", "sockets.target").stdout.split()
    assert "camtapd@enabled.socket" in wanted
    machine.systemctl("add-wants", "sysinit.target", service("enabled"))  # any target will do
    machine.systemctl("disable", "--now", "camtapd@enabled.socket", service("enabled"))
    assert state(machine, "enabled") == "inactive"
    assert machine.systemctl("is-enabled", "camtapd@enabled.socket", check=False).stdout == "disabled\n"


def test_observers_start_it_but_no_camera(machine):
    machine.start_camera("watched", "size = 320x240")
    machine.camtap("info", "watched")
    assert json.loads(machine.camtap("info", "watched", "--json").stdout)["state"] == "idle"
    assert all(entry.get("MESSAGE_ID") != STREAMING for entry in machine.journal(service("watched")))


def test_started_when_the_socket_accepts(machine):
    """Not when the camera is there: this one is not."""
    machine.systemctl("start", service("video77"))
    assert machine.show(service("video77"), "SubState") == "running"
    with machine.connection("video77", MODE_READ) as reader:
        reader.expect(WELCOME)
    waiting = machine.camtap("hz", "video77", "--count", "1", "--timeout", "1s", check=False)
    assert waiting.returncode == 3
    assert "/dev/video77" in waiting.stderr
    assert state(machine, "video77") == "active"


def test_status_text(machine, steady):
    name, reader = steady("idle_timeout = 0")
    wait_for_status(machine, name, "streaming", "320x240", "NV12", "frames/s", "1 reader")
    other = machine.reader(name)
    wait_for_status(machine, name, "2 readers")
    for program in (reader, other):
        program.finish()
    wait_for_status(machine, name, "idle", "0 readers")
    assert f"Status: \"{machine.show(service(name), 'StatusText')}\"" in \
        machine.systemctl("status", "--no-pager", service(name)).stdout


def test_reload(machine, steady):
    """What can change does while frames come; a configuration that is wrong changes nothing."""
    name, reader = steady()
    pid = machine.main_pid(service(name))
    machine.configure(name, "size = 320x240", "rate = 60", "idle_timeout = 0")
    machine.systemctl("reload", service(name))
    wait_for(lambda: [entry for entry in machine.journal(service(name)) if entry.get("MESSAGE_ID") == RELOADED],
             "the line about the reload", interval=0.05)
    machine.configure(name, "size = 320x240", "rate = 60", "nonsense = 1")
    assert machine.systemctl("reload", service(name), check=False).returncode == 1
    assert any(f"/etc/camtap/{name}.conf:5" in text for text in machine.complaints(service(name)))
    report = reader.ask()
    await_frames(reader, frames=report["epoch_frames"] + 10)
    assert (machine.main_pid(service(name)), state(machine, name)) == (pid, "active")
    assert reader.finish()["missed"] == 0
    wait_for_status(machine, name, "idle")  # idle_timeout = 0 is in force
    machine.configure(name, "size = 320x240")
    machine.systemctl("reload", service(name))
    assert machine.main_pid(service(name)) == pid


def test_off(machine, steady):
    """Stopping the socket is off: the service goes with it, readers are told, and wake nothing."""
    name, reader = steady()
    events = reader.ask()["events"]
    with machine.connection(name, MODE_READ) as client:
        client.expect(WELCOME)
        machine.systemctl("stop", f"camtapd@{name}.socket")
        client.expect(BYE)
    assert state(machine, name) == "inactive"
    assert machine.show(service(name), "Result") == "success"
    assert not machine.path(f"/run/camtap/{name}/socket").exists()
    assert machine.path(f"/run/camtap/{name}").is_dir()
    wait_for(lambda: reader.ask()["events"] > events, "the reader is told", interval=0.05)
    assert state(machine, name) == "inactive"
    machine.systemctl("start", f"camtapd@{name}.socket")
    await_frames(reader, epochs=2)
    assert not machine.complaints(service(name))


def test_paused(machine, steady):
    """By camtap-admin only; kept where the unit lets the daemon keep it, over restarts of service and socket."""
    name, reader = steady()
    denied = machine.camtap("pause", name, check=False)
    assert denied.returncode == 1 and "camtap-admin" in denied.stderr
    machine.camtap("pause", name, user=CHIEF)
    wait_for_status(machine, name, "paused", CHIEF)
    kept = f"/var/lib/camtap/{name}"  # for everybody to see, whatever UMask= says
    assert machine.run("stat", "--format=%U %a", kept, f"{kept}/paused").stdout == "camtap 755\ncamtap 644\n"
    for unit in (service(name), f"camtapd@{name}.socket"):
        machine.systemctl("restart", unit)
        wait_for_status(machine, name, "paused", CHIEF, "1 reader")
    assert reader.ask()["epochs"] == 1
    machine.camtap("resume", name, user=CHIEF)
    await_frames(reader, epochs=2)


def test_the_service_alone_is_woken_again(machine, steady):
    name, reader = steady()
    pid = machine.main_pid(service(name))
    machine.systemctl("stop", service(name))
    await_frames(reader, epochs=2)
    assert machine.main_pid(service(name)) != pid
    assert machine.show(service(name), "NRestarts") == "0"


def test_restart(machine, steady):
    name, reader = steady()
    machine.systemctl("restart", service(name))
    await_frames(reader, epochs=2)
    machine.systemctl("restart", f"camtapd@{name}.socket")
    await_frames(reader, epochs=3)
    assert reader.finish()["order_errors"] == 0


@pytest.mark.limit(180)
@pytest.mark.parametrize("seconds", (5, pytest.param(60, marks=pytest.mark.long)))
def test_stays_off(machine, steady, seconds):
    """However long readers want it: those that were attached, and those that try anew again and again."""
    name, reader = steady("always_on = yes")

    def watch(is_off, attempt):
        end = time.monotonic() + seconds  # the time is what is tested
        while time.monotonic() < end:
            assert is_off()
            done = machine.camtap("hz", name, "--count", "1", "--timeout", "200ms", check=False)
            assert done.returncode != 0 and attempt in done.stderr, done.stderr

    machine.camtap("pause", name, user=CHIEF)
    wait_for_status(machine, name, "paused")
    watch(lambda: "paused" in machine.show(service(name), "StatusText"), "paused by")
    machine.camtap("resume", name, user=CHIEF)
    await_frames(reader, epochs=2)
    machine.systemctl("stop", f"camtapd@{name}.socket")
    watch(lambda: state(machine, name) == "inactive", "camera")
    streaming = [entry for entry in machine.journal(service(name)) if entry.get("MESSAGE_ID") == STREAMING]
    assert len(streaming) == 2  # at first, and between the two
    machine.systemctl("start", f"camtapd@{name}.socket")
    await_frames(reader, epochs=3)


def test_a_container_with_nothing_but_the_cameras_directory(machine):
    """Its own mount namespace, a root with the program and its libraries: it attaches, and goes on when the
    daemon, and the socket, were restarted."""
    machine.start_camera("container", "size = 320x240", "rate = 60")
    machine.start_camera("neighbour")
    machine.reader("container")  # puts the program in its place
    libraries = machine.run("ldd", "/tmp/reader").stdout
    machine.write("/tmp/contain", """#!/bin/sh
set -eu
mount -t tmpfs -o mode=0755 tmpfs /mnt
mkdir -p /mnt/run/camtap/container
mount --bind /run/camtap/container /mnt/run/camtap/container
for file in /tmp/reader "$@"; do
	mkdir -p "/mnt$(dirname "$file")"
	cp -L "$file" "/mnt$file"
	folders="${folders-}$(dirname "$file"):"
done
export LD_LIBRARY_PATH="$folders"  # there is no ld.so.cache
exec chroot --userspec=61001:61001 --groups="$(getent group camtap | cut -d: -f3)" /mnt \
	/tmp/reader --socket /run/camtap/container/socket
""", 0o755)
    files = {word for line in libraries.splitlines() for word in line.split() if word.startswith("/")}
    inside = machine.spawn("unshare", "--mount", "/tmp/contain", *sorted(files), user=None)
    await_frames(inside)
    assert os.listdir(f"/proc/{inside.inner()}/root/run/camtap") == ["container"]
    machine.systemctl("restart", service("container"))
    await_frames(inside, epochs=2)
    machine.systemctl("restart", "camtapd@container.socket")
    await_frames(inside, epochs=3)
    inside.finish()
