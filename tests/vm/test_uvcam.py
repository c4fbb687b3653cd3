# SPDX-License-Identifier: MIT
"""The USB test camera itself, seen by the kernel's own driver and v4l2-ctl."""

import pytest
from usb_camera import guest


@pytest.mark.long
def test_the_usb_camera_does_what_it_is_told():
    assert guest("uvcam.sh").count("ok ") == 13
