# SPDX-License-Identifier: MIT
"""Fixtures of the tests under a booted systemd; what it is made of is in machine.py."""

import sys

import pytest
from machine import Machine
from camtap_testing import alarm

LIMIT = 120.0  # seconds that a test may take; @pytest.mark.limit(seconds) says otherwise


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): how long the test may take")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call" and outcome.get_result().failed and "machine" in item.funcargs:
        journal = item.funcargs["machine"].run("journalctl", "--no-pager", "--lines=60", check=False).stdout
        sys.stderr.write(f"---- the journal's end:\n{journal}\n")


@pytest.fixture(autouse=True)
def limit(request):
    marker = request.node.get_closest_marker("limit")
    with alarm(marker.args[0] if marker else LIMIT, "the test has not ended"):
        yield


@pytest.fixture(scope="module")
def machine(request):
    """Booted once for all tests of a module, which use cameras of different names. Where the module says
    FIRST = True, nothing else that this machine does gets in its way."""
    with Machine(first=getattr(request.module, "FIRST", False)) as booted:
        yield booted
