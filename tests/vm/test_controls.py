# SPDX-License-Identifier: MIT
"""Controls on a real kernel driver: vivid has one of every kind."""

from test_vm import guest


def test_controls_of_a_real_driver():
    assert guest("controls.sh").count("ok ") == 22
