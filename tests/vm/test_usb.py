# SPDX-License-Identifier: MIT
"""camtapd with a USB camera."""

import pytest

from usb_camera import guest


@pytest.mark.parametrize("fourcc, size, rate", [
    ("MJPG", "640x360", "30"),
    ("YUYV", "320x180", "30"),
])
def test_four_readers_see_every_frame_that_the_camera_sent(fourcc, size, rate):
    assert "ok " in guest("usb.sh", "four_readers", fourcc, size, rate)


def test_readers_stay_attached_while_the_camera_is_unplugged_again_and_again():
    output = guest("usb.sh", "replug", "100", timeout=900)
    assert "ok 100 rounds" in output and "ok unplugged" in output


def test_two_cameras_with_the_same_serial_number():
    assert "ok " in guest("usb.sh", "same_serial")
