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


@pytest.mark.parametrize("case", ["silent", "halted", "refusing"])
def test_a_camera_that_fails_without_being_unplugged(case):
    assert "ok " in guest("usb.sh", case)


# By default uvcvideo drops the frames that have the error bit.
@pytest.mark.parametrize("nodrop", ["0", "1"])
@pytest.mark.parametrize("fourcc", ["MJPG", "YUYV"])
def test_bad_frames_are_counted_and_not_published(fourcc, nodrop):
    assert "ok " in guest("usb.sh", "bad_frames", fourcc, nodrop,
                          modules=f"uvcvideo:nodrop={nodrop} vhci_hcd")


def test_bad_frames_are_published_if_asked_for():
    assert "ok " in guest("usb.sh", "publish_bad", modules="uvcvideo:nodrop=1 vhci_hcd")
