# SPDX-License-Identifier: MIT
"""`camtap list` on a real kernel driver: nodes, formats, and who uses them."""

import json
import os
import pathlib
import re
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ["CAMTAP_BUILD"])
# node types: 0x1 capture, 0x100 output, 0x20000 metadata capture
TWO = "vivid:n_devs=2,node_types=0x1,0x1"
MANY = "vivid:n_devs=2,node_types=0x1,0x20101"


def guest(case, *options, modules=TWO):
    programs = [BUILD / "daemon/camtapd", BUILD / "client/cli/camtap",
                BUILD / "tests/integration/programs/frame-hash", "strace"]
    command = [HERE / "guest", "--timeout", "300", "--memory", "768", "--modules", modules, *options]
    for program in programs:
        command += ["--bin", program]
    done = subprocess.run([*map(str, command), str(HERE / "list.sh"), case],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def test_no_node_is_opened_that_udev_knows():
    assert guest("nodes", modules=MANY).count("ok ") == 7


@pytest.mark.long
def test_cameras_of_the_same_serial_number():
    assert guest("twins").count("ok ") == 2


def test_the_holder_of_a_device_is_named():
    assert guest("holders").count("ok ") == 5


def shown_by_v4l2_ctl(text):
    """{fourcc: [(size, {rates})]} of --list-formats-ext."""
    formats, sizes = {}, None
    for line in text.splitlines():
        if found := re.match(r"\s*\[\d+\]: '(.{4,})' \(", line):
            sizes = formats.setdefault(found[1].replace(" ", ""), [])
        elif found := re.match(r"\s*Size: Discrete (\d+x\d+)", line):
            sizes.append((found[1], []))
        elif found := re.match(r"\s*Size: Stepwise (\d+x\d+) - (\d+x\d+) with step (\d+)/(\d+)", line):
            sizes.append((f"{found[1]}-{found[2]}/{found[3]}x{found[4]}", []))
        elif found := re.match(r"\s*Interval: Discrete .*\(([\d.]+) fps\)", line):
            sizes[-1][1].append(float(found[1]))
    return formats


def shown_by_camtap(device):
    """The same of the JSON of `camtap list`."""
    formats = {}
    for offer in device["formats"]:
        if offer["emulated"]:
            continue
        sizes = formats.setdefault(offer["fourcc"].replace(" ", ""), [])
        for size in offer["sizes"]:
            if "width" in size:
                name = f"{size['width']}x{size['height']}"
            else:
                name = (f"{size['min_width']}x{size['min_height']}-{size['max_width']}x"
                        f"{size['max_height']}/{size['step_width']}x{size['step_height']}")
            assert not size["rate_range"]
            rates = [round(rate["numerator"] / rate["denominator"], 3) for rate in size["rates"]]
            sizes.append((name, rates))
    return formats


@pytest.mark.parametrize("planes", [1, pytest.param(2, marks=pytest.mark.long)])
def test_formats_are_those_of_v4l2_ctl(planes, tmp_path):
    tmp_path.chmod(0o777)
    guest("formats", "--share", str(tmp_path), modules=TWO + f",multiplanar={planes},{planes}")
    for source in "0", "3":
        theirs = shown_by_v4l2_ctl((tmp_path / f"v4l2-ctl.{source}").read_text())
        (device,) = json.loads((tmp_path / f"camtap.{source}").read_text())["devices"]
        assert device["multiplanar"] == (planes == 2)
        assert len(theirs) > 40
        ours = shown_by_camtap(device)
        if source == "3":  # a range; v4l2-ctl shows no rates for one
            ours = {name: [(size, []) for size, rates in sizes] for name, sizes in ours.items()}
        assert ours == theirs
        asked = {offer["fourcc"]: offer["pixel_format"] for offer in device["formats"]}
        assert asked["YUYV"] == "YUYV" and asked["NV12"] == "NV12" and None in asked.values()
        assert planes == 1 or asked["NM12"] == "NV12"
        text = (tmp_path / f"text.{source}").read_text()
        assert "(unknown to camtapd)" in text and "YUYV" in text
        assert device["current"]["fourcc"] in ours
        print(text)
