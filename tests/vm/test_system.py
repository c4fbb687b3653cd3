# SPDX-License-Identifier: MIT
"""camtap as it is installed, on a system with systemd and udev: cameras are plugged in."""

import functools
import os
import pathlib
import re
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ["CAMTAP_BUILD"])
PROGRAMS = ["tests/vm/frame-log", "tests/vm/uvcam/uvcam", "tests/vm/uvcam/uvcam-reader"]


def boot(*arguments):
    """Boots, and lets system.sh go through its cases. Returns what it said."""
    command = [HERE / "system-guest", "--timeout", "400", "--install", BUILD]
    for program in PROGRAMS:
        command += ["--bin", BUILD / program]
    done = subprocess.run([*map(str, [*command, *arguments])], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL, check=False)
    return done.stdout


@functools.cache
def all_cases():
    return boot(HERE / "system.sh")


def assert_ok(case, output):
    said = re.search(rf"^== {case}$.*?(?=^== |\Z)", output, re.MULTILINE | re.DOTALL)
    print(said[0] if said else output)
    assert re.search(rf"^ok {case} ", output, re.MULTILINE), output[-3000:]


@pytest.mark.parametrize("case", [
    "waiting_for_the_first_camera",
    "plugged_in",
    "readers",
    "devices",
    "unbound",
    "replugged",
    "twins",
    "twins_from_the_start",
    "named_by_a_rule",
    "stopped",
    "masked",
    "realtime",
    "no_cameras",
])
def test_cameras_of_a_system(case):
    assert_ok(case, all_cases())


@pytest.mark.long
def test_a_camera_that_is_there_at_boot(tmp_path):
    load, options = tmp_path / "load", tmp_path / "options"
    load.write_text("vivid\n")
    options.write_text("options vivid n_devs=1 node_types=0x1\n")
    assert_ok("at_boot", boot("--copy", f"{load}:/etc/modules-load.d/vivid.conf",
                              "--copy", f"{options}:/etc/modprobe.d/vivid.conf",
                              HERE / "system.sh", "at_boot"))
