# SPDX-License-Identifier: MIT
"""camtapd on a real kernel driver: each test boots tests/vm/guest and runs one script there."""

import os
import pathlib
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ["CAMTAP_BUILD"])
PROGRAMS = ["daemon/camtapd", "client/cli/camtap", "tests/integration/programs/frame-hash",
            "tests/integration/programs/reader",
            "tests/vm/idle-probe", "tests/vm/source-probe"]
PLAIN = "vivid:n_devs=1,node_types=0x1"


def guest(script, *arguments, modules=PLAIN):
    command = [HERE / "guest", "--timeout", "400", "--memory", "768", "--modules", modules]
    for program in PROGRAMS:
        command += ["--bin", BUILD / program]
    done = subprocess.run([*map(str, command), str(HERE / script), *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


@pytest.mark.parametrize("memory, transfer, modules", [
    ("auto", "zero-copy (USERPTR)", PLAIN),
    pytest.param("copy", "one copy (MMAP)", PLAIN, marks=pytest.mark.long),
    pytest.param("libv4l2", "libv4l2 conversion (MMAP)", PLAIN, marks=pytest.mark.long),
    # dma-contig memory: the driver refuses USERPTR
    ("auto", "one copy (MMAP)", PLAIN + ",allocators=1"),
])
def test_four_readers_see_every_frame_and_the_same_bytes(memory, transfer, modules):
    output = guest("capture.sh", memory, transfer, modules=modules)
    assert output.count("ok ") == 3


def test_four_readers_of_a_multi_planar_device():
    output = guest("capture.sh", "auto", "zero-copy (USERPTR)", modules=PLAIN + ",multiplanar=2")
    assert output.count("ok ") == 5


def test_the_device_is_open_only_while_somebody_reads():
    assert guest("power.sh").count("ok ") == 4


def test_an_idle_daemon_is_woken_by_the_watchdog_only():
    assert guest("idle.sh").count("ok ") == 2


def test_a_paused_device_is_closed_and_free_for_others():
    assert guest("pause.sh").count("ok ") == 5


def test_what_cannot_be_captured_is_refused_clearly():
    assert guest("errors.sh", modules="vivid:n_devs=1,node_types=0x105").count("ok ") == 10


@pytest.mark.parametrize("case, modules", [
    ("plain", PLAIN),
    pytest.param("contiguous", PLAIN + ",allocators=1", marks=pytest.mark.long),
    pytest.param("multiplanar", PLAIN + ",multiplanar=2", marks=pytest.mark.long),
])
def test_the_v4l2_source_by_itself(case, modules):
    guest("source-v4l2.sh", case, modules=modules)


@pytest.mark.long
def test_the_guest_itself():
    subprocess.run([str(HERE / "selftest.sh")], check=True, stdin=subprocess.DEVNULL)
