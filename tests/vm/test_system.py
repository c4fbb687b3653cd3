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


@functools.cache
def system():
    """Boots once, and lets system.sh go through all its cases."""
    command = [HERE / "system-guest", "--timeout", "400", "--install", BUILD]
    for program in PROGRAMS:
        command += ["--bin", BUILD / program]
    done = subprocess.run([*map(str, command), str(HERE / "system.sh")], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL, check=False)
    return done.stdout


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
    "masked",
    "no_cameras",
])
def test_cameras_of_a_system(case):
    output = system()
    said = re.search(rf"^== {case}$.*?(?=^== |\Z)", output, re.MULTILINE | re.DOTALL)
    print(said[0] if said else output)
    assert re.search(rf"^ok {case} ", output, re.MULTILINE), output[-3000:]
