# SPDX-License-Identifier: MIT
"""Of all tests that pytest runs."""


def pytest_configure(config):
    config.addinivalue_line("markers", "long: run by `scripts/test --long` only")
