# SPDX-License-Identifier: MIT
"""What a real journal has of a camera: fields, message ids, the catalog's explanations, and nothing more."""

import pathlib
import re

import pytest
from machine import CHIEF, STRANGER, Machine, wait_for  # knows where the next one is
from camtap_testing import program_path

SOURCES = pathlib.Path(__file__).resolve().parents[2]
IDS = dict(re.findall(r'^#define LOG_(\w+)\s+"(\w{32})"', (SOURCES / "daemon/log-messages.h").read_text(), re.M))
READER_UID = "61001"


@pytest.fixture(scope="module")
def machine():
    with Machine() as machine:
        machine.run("journalctl", "--update-catalog")
        yield machine


@pytest.fixture
def front(machine):
    """Unit of a camera that nobody has used in this test yet."""
    machine.configure("front", "size = 160x120", "idle_timeout = 0")
    machine.systemctl("start", "camtapd@front.socket")
    yield "camtapd@front.service"
    machine.systemctl("stop", "camtapd@front.socket")
    machine.run("journalctl", "--rotate")
    machine.run("journalctl", "--vacuum-time=1us")


def entries(machine, unit):
    """What the daemon has said."""
    return [entry for entry in machine.journal(unit) if entry["SYSLOG_IDENTIFIER"] == "camtapd"]


def names(found):
    """The names of their message ids; None where there is none."""
    by_id = {value: name for name, value in IDS.items()}
    return [by_id.get(entry.get("MESSAGE_ID")) for entry in found]


def of_kind(found, name):
    return [entry for entry in found if entry.get("MESSAGE_ID") == IDS[name]]


def test_lines_have_fields(machine, front):
    machine.camtap("hz", "front", "--count", 5)
    wait_for(lambda: "CAMERA_IDLE" in names(entries(machine, front)), "the camera to be off", interval=0.1)
    found = entries(machine, front)
    assert sorted(names(found)) == ["CAMERA_IDLE", "CAMERA_STREAMING", "READER_ATTACHED", "READER_GONE"]
    by_name = dict(zip(names(found), found))
    for entry in found:
        assert entry["CAMTAP_CAMERA"] == "front" and entry["PRIORITY"] == "6"
        assert entry["MESSAGE"].startswith("front: ") and entry["_TRANSPORT"] == "journal"
        assert entry["_SYSTEMD_UNIT"] == front and "CODE_LINE" not in entry
    assert by_name["CAMERA_STREAMING"]["CAMTAP_STATE"] == "streaming"
    assert by_name["CAMERA_IDLE"]["CAMTAP_STATE"] == "idle"
    for name in ("READER_ATTACHED", "READER_GONE"):
        entry = by_name[name]
        assert entry["CAMTAP_CLIENT_UID"] == READER_UID and entry["CAMTAP_STREAM"] == "native"
        assert entry["CAMTAP_CLIENT_PROGRAM"] == "camtap" and entry["CAMTAP_CLIENT_NAME"] == "camtap hz"
        assert f"reader {entry['CAMTAP_CLIENT_PID']} of uid {READER_UID} " in entry["MESSAGE"]
    # who looked through this camera?
    done = machine.run("journalctl", "--output=cat", "CAMTAP_CAMERA=front", f"CAMTAP_CLIENT_UID={READER_UID}")
    assert done.stdout.count("\n") == 2


def test_lines_are_explained(machine, front):
    machine.camtap("hz", "front", "--count", 5)
    wait_for(lambda: len(entries(machine, front)) == 4, "the camera to be off", interval=0.1)
    output = machine.run("journalctl", "--catalog", "--no-hostname", "CAMTAP_CAMERA=front").stdout
    for words in ("Subject: A program looks through camera front\n", f"of user {READER_UID} reads frames of camera",
                  "`camtap pause front` switches", "Subject: Camera front is off\n", "man:camtapd(8)"):
        assert words in output, output
    for name, value in IDS.items():
        text = machine.run("journalctl", "--dump-catalog", value).stdout
        assert "Defined-By: camtap\n" in text and len(text.splitlines()) > 8, name


def test_a_healthy_run_is_silent(machine, front):
    readers = [machine.program(program_path("reader"), "--socket", "/run/camtap/front/socket") for _ in range(3)]
    for reader in readers:
        wait_for(lambda: reader.ask()["frames"] > 0, "frames", interval=0.05)
    before = machine.journal(front)
    assert names(entries(machine, front)).count("READER_ATTACHED") == 3
    wait_for(lambda: readers[0].ask()["frames"] > 150, "150 frames", interval=0.2)
    machine.camtap("info", "front")
    assert machine.journal(front) == before
    for reader in readers:
        reader.finish()
    wait_for(lambda: names(entries(machine, front)).count("READER_GONE") == 3, "their end", interval=0.1)


def test_who_is_not_let_in(machine, front):
    machine.write("/etc/camtap/front.conf.d/access.conf", "[Access]\nusers = camtap-stranger no-such-user\n")
    try:
        done = machine.camtap("hz", "front", "--count", 5, check=False)
        assert done.returncode == 1 and "may not read camera front" in done.stderr
        machine.camtap("hz", "front", "--count", 5, user=CHIEF)  # of camtap-admin
        done = machine.camtap("hz", "front", user=STRANGER, check=False)  # named, but not in group camtap
        assert done.returncode == 1 and "usermod -aG camtap" in done.stderr and done.stderr.count("\n") == 1
        found = entries(machine, front)
        [unknown] = of_kind(found, "NAME_UNKNOWN")
        assert "no-such-user" in unknown["MESSAGE"] and unknown["PRIORITY"] == "4"
        [denied] = of_kind(found, "CLIENT_DENIED")
        assert denied["CAMTAP_CLIENT_UID"] == READER_UID and denied["PRIORITY"] == "4"
        [attached] = of_kind(found, "READER_ATTACHED")
        assert attached["CAMTAP_CLIENT_UID"] == "61002"
    finally:
        machine.run("rm", "-r", "/etc/camtap/front.conf.d")


def test_who_is_sent_away_by_a_reload(machine, front):
    reader = machine.spawn("camtap", "hz", "front", "--timeout", "20s")
    wait_for(lambda: "CAMERA_STREAMING" in names(entries(machine, front)), "frames", interval=0.1)
    machine.write("/etc/camtap/front.conf.d/access.conf", "[Access]\nusers = camtap-stranger\n")
    try:
        machine.systemctl("reload", front)
        assert reader.wait() == 1 and "may not read camera front" in reader.log()
        [denied] = wait_for(lambda: of_kind(entries(machine, front), "CLIENT_DENIED"), "its line", interval=0.1)
        assert "was disconnected: " in denied["MESSAGE"] and denied["CAMTAP_STREAM"] == "native"
        assert "READER_GONE" not in names(entries(machine, front))
        assert "RELOADED" in names(entries(machine, front))
    finally:
        machine.run("rm", "-r", "/etc/camtap/front.conf.d")


def test_a_wrong_configuration(machine, front):
    machine.configure("front", "size = large")
    machine.systemctl("start", front, check=False)
    found = wait_for(lambda: entries(machine, front), "the line", interval=0.1)
    assert names(found[:1]) == ["CONFIGURATION_WRONG"] and "front.conf:3: size = large" in found[0]["MESSAGE"]
    assert found[0]["PRIORITY"] == "3"
