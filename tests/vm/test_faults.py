# SPDX-License-Identifier: MIT
"""camtapd on vivid while things go wrong: each test boots tests/vm/guest with faults.sh once."""

import os
import pathlib
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ["CAMTAP_BUILD"])
PROGRAMS = ["daemon/camtapd", "client/cli/camtap", "tests/integration/programs/reader",
            "tests/vm/frame-log"]
PLAIN = "vivid:n_devs=1,node_types=0x1"
MULTIPLANAR = PLAIN + ",multiplanar=2"


@pytest.mark.parametrize("case, memory, modules, checks", [
    ("faults", "userptr", PLAIN, 12),
    pytest.param("faults", "copy", PLAIN, 12, marks=pytest.mark.long),
    pytest.param("faults", "userptr", MULTIPLANAR, 12, marks=pytest.mark.long),
    pytest.param("silence", "userptr", PLAIN, 4, marks=pytest.mark.long),
    pytest.param("silence", "copy", PLAIN, 4, marks=pytest.mark.long),
    pytest.param("signal", "userptr", PLAIN, 7, marks=pytest.mark.long),
    pytest.param("signal", "copy", MULTIPLANAR, 7, marks=pytest.mark.long),
    ("replug", "userptr", PLAIN, 4),
    pytest.param("replug", "copy", PLAIN, 4, marks=pytest.mark.long),
    pytest.param("clock", "userptr", PLAIN, 5, marks=pytest.mark.long),
], ids=lambda value: str(value).replace(PLAIN, "plain"))
def test_the_camera_goes_on(case, memory, modules, checks):
    command = [HERE / "guest", "--timeout", "240", "--memory", "768", "--modules", modules]
    for program in PROGRAMS:
        command += ["--bin", BUILD / program]
    done = subprocess.run([*map(str, command), str(HERE / "faults.sh"), case, memory],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-3000:]
    assert done.stdout.count("ok ") == checks
