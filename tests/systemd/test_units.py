# SPDX-License-Identifier: MIT
"""The units as they are installed."""

import json
import os
import pathlib

import pytest
from machine import CHIEF, READER, STRANGER
from camtap_testing import wait_for

EXPOSURE_MAX = 0.8
UNITS = ("camtapd@front.service", "camtapd@front.socket")


def test_verify_finds_nothing(machine):
    done = machine.run("systemd-analyze", "verify", "--man=no", *UNITS)
    assert done.stdout + done.stderr == ""


def test_the_sandbox_is_tight(machine):
    path = machine.show("camtapd@front.service", "FragmentPath")
    done = machine.run("systemd-analyze", "security", "--offline=true", "--no-pager", path)
    overall = next(line for line in done.stdout.splitlines() if "Overall exposure level" in line)
    print(overall)
    assert float(overall.split(":")[1].split()[0]) <= EXPOSURE_MAX


def test_users_and_directories(machine):
    assert set(machine.run("id", "-nG", "camtap").stdout.split()) == {"camtap", "video"}
    machine.run("getent", "group", "camtap-admin")
    for path in ("/run/camtap", "/etc/camtap"):
        assert machine.run("stat", "--format=%U %G %a", path).stdout == "root root 755\n"


def test_who_may_connect(machine):
    """Group camtap by the socket's mode; a stranger is told."""
    machine.start_camera("access")
    assert machine.run("stat", "--format=%U %G %a", "/run/camtap/access/socket").stdout == "root camtap 660\n"
    for user in (READER, CHIEF, "root"):
        machine.camtap("hz", "access", "--count", "2", user=user)
    refused = machine.camtap("hz", "access", "--count", "2", user=STRANGER, check=False)
    assert refused.returncode == 1
    assert "usermod -aG camtap" in refused.stderr


def test_what_the_daemon_needs_works_in_the_sandbox(machine):
    """Who reads, by the program's name; the head-room for a pool; locked guards; old pools counted."""
    machine.start_camera("inside", "size = 320x240")
    machine.camtap("hz", "inside", "--count", "30")
    reader = machine.reader("inside", "--name", "an eye")
    wait_for(lambda: reader.ask()["frames"] > 5, "frames")
    info = json.loads(machine.camtap("info", "inside", "--json").stdout)
    client, = (client for client in info["streams"][0]["clients"] if client["name"] == "an eye")
    assert client["uid"] == 61001
    attached = [entry for entry in machine.journal("camtapd@inside.service")
                if entry.get("CAMTAP_CLIENT_PID") == str(client["pid"])]
    assert [entry["CAMTAP_CLIENT_PROGRAM"] for entry in attached] == ["reader"]
    pid = machine.process("camtapd@inside.service")
    with open(f"/proc/{pid}/status") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert int(status["VmLck"].split()[0]) >= 4, "guards are not locked in memory"
    inside = ["nsenter", f"--target={machine.main_pid('camtapd@inside.service')}", "--mount", "--"]
    assert "MemAvailable" in machine.run(*inside, "cat", "/proc/meminfo").stdout
    assert not machine.complaints("camtapd@inside.service")
    machine.camtap("hz", "inside", "--count", "10", "--stream", "GREY:160x120")


def test_exec_source(machine):
    """A command of this machine works in the sandbox as it is."""
    machine.start_camera("command", "raw = NV12:64x48,rate=30", source="exec:cat /dev/zero")
    machine.camtap("hz", "command", "--count", "10")


FRAME_SERVER = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        connection, _ = server.accept()
        try:
            while True:
                connection.sendall(bytes(64 * 48 * 3 // 2))
        except OSError:
            connection.close()
"""


def example(machine, name):
    """An example as it is installed."""
    folder = machine.run("find", "/usr", "-path", f"*/doc/camtap/examples/{name}").stdout.split()
    assert len(folder) == 1
    return machine.path(folder[0]).read_text()


def test_network_drop_in(machine):
    """exec: reaches the network with the example, and only with it."""
    port = machine.spawn("/usr/bin/python3", "-c", FRAME_SERVER).line()
    command = f"exec:bash -c 'cat </dev/tcp/127.0.0.1/{port}'"
    machine.start_camera("remote", "raw = NV12:64x48,rate=30", source=command)
    assert machine.camtap("hz", "remote", "--count", "2", "--timeout", "1s", check=False).returncode == 3
    machine.drop_in("camtapd@remote.service", example(machine, "exec-network.conf"))
    machine.systemctl("restart", "camtapd@remote.service")
    machine.camtap("hz", "remote", "--count", "10")


def policies(machine, unit):
    """{thread's name: its scheduling policy}"""
    folder = pathlib.Path(f"/proc/{machine.process(unit)}/task")
    return {(thread / "comm").read_text().strip(): os.sched_getscheduler(int(thread.name))
            for thread in folder.iterdir()}


def realtime_example(machine, left_out="nothing"):
    """Its settings. systemd cannot raise a limit where this process may not (some containers): CAP_SYS_NICE stands
    for that one then, and the others are tested as they are."""
    settings = [line for line in example(machine, "realtime.conf").splitlines()
                if line[:1] not in ("", "#", "[") and not line.startswith(left_out)]
    limit = "LimitRTPRIO=1"
    if limit in settings:
        unit = "camtapd@limits.service"
        machine.drop_in(unit, "[Service]", limit)
        machine.start_camera("limits")
        machine.camtap("hz", "limits", "--count", "2")
        with open(f"/proc/{machine.process(unit)}/limits") as file:
            raised = next(line for line in file if line.startswith("Max realtime priority")).split()[3] == "1"
        if not raised:
            print("limits cannot be raised here: CAP_SYS_NICE instead")
            settings += ["CapabilityBoundingSet=CAP_SYS_NICE", "AmbientCapabilities=CAP_SYS_NICE"]
    return ["[Service]", *settings]


def test_realtime_drop_in(machine):
    """Without the example, a warning that names what it has in it; with it, the thread that captures and no other."""
    machine.start_camera("realtime", "realtime = 1")
    unit = "camtapd@realtime.service"
    machine.camtap("hz", "realtime", "--count", "10")
    assert set(policies(machine, unit).values()) == {os.SCHED_OTHER}
    warning, = machine.complaints(unit)
    lines = realtime_example(machine)
    assert all(setting in warning for setting in lines[1:4]), warning
    machine.drop_in(unit, *lines)
    done = machine.run("systemd-analyze", "verify", "--man=no", unit)
    assert done.stdout + done.stderr == ""
    assert machine.show(unit, "LimitRTPRIO") == "1"
    machine.systemctl("restart", unit)
    machine.camtap("hz", "realtime", "--count", "10", "--stream", "GREY:160x120")
    assert machine.complaints(unit) == [warning]
    found = policies(machine, unit)
    assert found.pop("capture") == os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    assert found and set(found.values()) == {os.SCHED_OTHER}


@pytest.mark.parametrize("left_out", ["LimitRTPRIO", "RestrictRealtime", "SystemCallFilter"])
def test_realtime_takes_all_of_its_drop_in(machine, left_out):
    name = f"less-{left_out}"
    machine.drop_in(f"camtapd@{name}.service", *realtime_example(machine, left_out))
    machine.start_camera(name, "realtime = 1")
    machine.camtap("hz", name, "--count", "10")
    assert set(policies(machine, f"camtapd@{name}.service").values()) == {os.SCHED_OTHER}
    assert len(machine.complaints(f"camtapd@{name}.service")) == 1
