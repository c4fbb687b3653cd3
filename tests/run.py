#!/usr/bin/python3
"""run.py [--quick|--long] [--only WORD]: builds, and runs every test (scripts/test installs what it needs first).

--quick leaves out the tests that boot a virtual machine. --long runs every test, of those in the virtual
machine all variants, too (three quarters of an hour). --only runs the steps whose name contains WORD.

Builds: build/ (gcc, as users have it; clang too, for its warnings), build-asan/ (gcc, address and undefined
behaviour sanitizers: unit and integration tests), build-tsan/ (gcc, thread sanitizer: those whose threads
meet). Ends with one line: N passed, N failed.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHON = "/usr/bin/python3"  # Debian's: the one that has Debian's pytest
STEP_LIMIT_S = 3600


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.failures = []

    def add(self, name, good):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            self.failures.append(name)


def run(command, log=None, **environment):
    """Runs a command in the root; true if it succeeded. With `log`, its output goes there."""
    output = open(log, "wb") if log else None
    try:
        return subprocess.run(
            [str(word) for word in command], cwd=ROOT, timeout=STEP_LIMIT_S, stdout=output,
            stderr=subprocess.STDOUT if log else None, stdin=subprocess.DEVNULL,
            env={**os.environ, **environment}).returncode == 0
    except subprocess.TimeoutExpired:
        print(f"{command[0]}: no end after {STEP_LIMIT_S} s", flush=True)
        return False
    finally:
        if output:
            output.close()


def show_tail(log, lines=60):
    text = pathlib.Path(log).read_text(errors="replace").splitlines()
    print("\n".join(text[-lines:]), flush=True)


def build(tally, folder, compiler, *options):
    """Configures and compiles; warnings are errors."""
    started = time.monotonic()
    path = ROOT / folder
    log = ROOT / f"{folder}.log"
    good = (path / "build.ninja").exists() or run(
        ["meson", "setup", path, "--werror", "-Dtests=enabled", "-Dopencv=enabled", *options], log,
        CC=compiler)
    good = good and run(["ninja", "-C", path], log)
    if good:
        log.unlink()
    else:
        show_tail(log)
    print(f"{'ok' if good else 'FAILED'}  build {folder} ({compiler}), "
          f"{time.monotonic() - started:.0f} s", flush=True)
    tally.add(f"build {folder}", good)
    return good


def meson_tests(tally, folder, *suites, **environment):
    started = time.monotonic()
    path = ROOT / folder
    command = ["meson", "test", "-C", path, "--no-rebuild"]
    for suite in suites:
        command += ["--suite", suite]
    run(command, path / "meson-test.log", **environment)
    results = path / "meson-logs" / "testlog.json"
    if not results.exists():
        show_tail(path / "meson-test.log")
        tally.add(f"{folder}: meson test", False)
        return
    for line in results.read_text().splitlines():
        test = json.loads(line)
        good = test["result"] in ("OK", "EXPECTEDFAIL")
        tally.add(f"{folder}: {test['name']}", good)
        if not good:
            print(f"FAILED  {folder}: {test['name']}\n{test.get('stdout', '')}"
                  f"{test.get('stderr', '')}", flush=True)
    print(f"      {folder}: {' '.join(suites)} tests, {time.monotonic() - started:.0f} s", flush=True)


def pytest(tally, folder, name, *arguments, **environment):
    started = time.monotonic()
    report = ROOT / folder / f"{name}.xml"
    report.unlink(missing_ok=True)
    run([PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short",
         f"--junit-xml={report}", *arguments],
        CAMTAP_BUILD=str(ROOT / folder), PYTHONDONTWRITEBYTECODE="1", **environment)
    if not report.exists():
        tally.add(f"{folder}: {name}", False)
        return
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        if case.find("skipped") is not None:
            print(f"skipped  {folder}: {case.get('name')}", flush=True)
            tally.add(f"{folder}: {case.get('name')} (skipped)", False)
            continue
        good = case.find("failure") is None and case.find("error") is None
        tally.add(f"{folder}: {case.get('classname')}.{case.get('name')}", good)
    print(f"      {folder}: {name}, {time.monotonic() - started:.0f} s", flush=True)


ASAN = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1"}
TSAN = {"TSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:second_deadlock_stack=1"}


def steps(tally, quick, long):
    chosen = () if long else ("-m", "not long")
    # which the unit tests do to the sanitizers' satisfaction, in a tenth of the time
    without_pixels = () if long else ("--ignore", "tests/integration/test_conversions.py")
    # attacked beside a daemon that is not: with the sanitizers, and in other builds if there is time
    hostile = ("tests/integration/test_hostile.py", "tests/integration/test_hostile_streams.py") if long else ()
    yield "build", lambda: build(tally, "build", "gcc", "--buildtype", "debugoptimized")
    yield "clang", lambda: build(tally, "build-clang", "clang", "--buildtype", "debugoptimized")
    yield "build-asan", lambda: build(
        tally, "build-asan", "gcc", "-Db_sanitize=address,undefined", "-Db_lundef=false",
        "--buildtype", "debugoptimized")
    yield "build-tsan", lambda: build(
        # TSan does not know fences; they matter to readers without a lease only, which it cannot see
        tally, "build-tsan", "gcc", "-Db_sanitize=thread", "-Db_lundef=false", "-Dc_args=-Wno-tsan",
        "--buildtype", "debugoptimized")
    yield "unit", lambda: meson_tests(tally, "build", "unit")
    yield "model", lambda: meson_tests(tally, "build", "model-all" if long else "model")
    yield "bench", lambda: pytest(tally, "build", "bench", "tests/bench")  # the instrument, not the figures
    yield "asan-unit", lambda: meson_tests(tally, "build-asan", "unit", **ASAN)
    yield "tsan-unit", lambda: meson_tests(tally, "build-tsan", "unit", **TSAN)
    yield "asan-integration", lambda: pytest(
        tally, "build-asan", "integration", "tests/integration", *without_pixels, *chosen, **ASAN)
    yield "tsan-integration", lambda: pytest(
        tally, "build-tsan", "integration", "tests/integration/test_restart.py",
        "tests/integration/test_holders.py", "tests/integration/test_streams.py",
        "tests/integration/test_pause.py", *hostile[1:], *chosen, **TSAN)
    # as users have it: those that count torn frames, leaks and gaps
    yield "integration", lambda: pytest(
        tally, "build", "integration", "tests/integration/test_torn.py",
        "tests/integration/test_killed.py", "tests/integration/test_holders.py",
        "tests/integration/test_conversions.py", *hostile, *chosen)
    yield "systemd", lambda: pytest(tally, "build", "systemd", "tests/systemd", *chosen)
    if not quick:
        yield "vm", lambda: pytest(tally, "build", "vm", "tests/vm", *chosen)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="without the virtual machine")
    parser.add_argument("--long", action="store_true", help="the tests that take long, too")
    parser.add_argument("--only", default="", metavar="WORD", help="steps whose name contains WORD")
    arguments = parser.parse_args()
    tally = Tally()
    started = time.monotonic()
    for name, step in steps(tally, arguments.quick, arguments.long):
        if arguments.only in name:
            step()
    for name in tally.failures:
        print(f"FAILED  {name}")
    print(f"{time.monotonic() - started:.0f} s")
    print(f"{tally.passed} passed, {tally.failed} failed", flush=True)
    sys.exit(1 if tally.failed or not tally.passed else 0)


if __name__ == "__main__":
    main()
