# SPDX-License-Identifier: MIT
"""Fixtures of the integration tests; what they are made of is in camtap_testing.py."""

import os

import pytest
from camtap_testing import Bench, alarm, build_path

LIMIT = 120.0  # seconds that a test may take; @pytest.mark.limit(seconds) says otherwise


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): how long the test may take")
    config.addinivalue_line("markers", "long: left out unless asked for (-m long)")


def pytest_collection_modifyitems(config, items):
    if not config.option.markexpr:
        long = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)


def pytest_sessionstart(session):
    if not os.path.exists(build_path("daemon/camtapd")):
        pytest.exit(f"{build_path('daemon/camtapd')}: set CAMTAP_BUILD to the build directory", 2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.failed = outcome.get_result().failed


@pytest.fixture(autouse=True)
def limit(request):
    marker = request.node.get_closest_marker("limit")
    with alarm(marker.args[0] if marker else LIMIT, "the test has not ended"):
        yield


@pytest.fixture
def bench(request, limit):
    bench = Bench()
    try:
        yield bench
    finally:
        bench.finish(failed=getattr(request.node, "failed", True))
