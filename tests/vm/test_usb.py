# SPDX-License-Identifier: MIT
"""camtapd with a USB camera."""

import pytest

from usb_camera import guest


@pytest.mark.parametrize("fourcc, size, rate", [
    ("MJPG", "640x360", "30"),
    pytest.param("YUYV", "320x180", "30", marks=pytest.mark.long),
])
def test_four_readers_see_every_frame_that_the_camera_sent(fourcc, size, rate):
    assert "ok " in guest("usb.sh", "four_readers", fourcc, size, rate)


# 14: growth is what there is between round 10 and the last one
@pytest.mark.parametrize("rounds", [14, pytest.param(100, marks=pytest.mark.long)])
def test_readers_stay_attached_while_the_camera_is_unplugged_again_and_again(rounds):
    output = guest("usb.sh", "replug", str(rounds), timeout=900)
    assert f"ok {rounds} rounds" in output and "ok unplugged" in output


@pytest.mark.long
def test_two_cameras_with_the_same_serial_number():
    assert "ok " in guest("usb.sh", "same_serial")


@pytest.mark.parametrize("case", [
    "silent",
    pytest.param("halted", marks=pytest.mark.long),
    pytest.param("refusing", marks=pytest.mark.long),
])
def test_a_camera_that_fails_without_being_unplugged(case):
    assert "ok " in guest("usb.sh", case)


# By default uvcvideo drops the frames that have the error bit.
@pytest.mark.parametrize("fourcc, nodrop", [
    ("MJPG", "1"),
    pytest.param("MJPG", "0", marks=pytest.mark.long),
    pytest.param("YUYV", "0", marks=pytest.mark.long),
    pytest.param("YUYV", "1", marks=pytest.mark.long),
])
def test_bad_frames_are_counted_and_not_published(fourcc, nodrop):
    assert "ok " in guest("usb.sh", "bad_frames", fourcc, nodrop,
                          modules=f"uvcvideo:nodrop={nodrop} vhci_hcd")


@pytest.mark.long
def test_bad_frames_are_published_if_asked_for():
    assert "ok " in guest("usb.sh", "publish_bad", modules="uvcvideo:nodrop=1 vhci_hcd")
