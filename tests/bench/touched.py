#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""touched.py: what a reader touches for a frame: instructions, cache lines and pages, in the library and outside.

A program that sleeps between frames finds nothing of that in the caches and the TLB, so that is what its share of a
frame's latency is made of (docs/performance.md). valgrind's lackey writes down each instruction and each access of
tests/bench/touched-reader, with the bell and with an event loop; shown is the median of the frames. Not in it: what
the kernel touches, and the vDSO, whose clocks valgrind replaces by system calls.

CAMTAP_BUILD names the build directory (optimised, without sanitizers); --all lists the pages."""

import argparse
import collections
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("CAMTAP_BUILD", "build"))
FRAMES = 40
WARM = 10  # the first frames are not counted
PATIENCE_S = 30
ACCESS = re.compile(r"(I |[ ][SLM]) ([0-9a-f]+),(\d+)$")
LINE, PAGE = 64, 4096

Touched = collections.namedtuple("Touched", "instructions lines pages")


def touched(accesses):
    """[(is it code?, address, bytes)] -> Touched: lines and pages are sets of addresses."""
    lines = set()
    for _, address, size in accesses:
        lines |= {address // LINE, (address + size - 1) // LINE}
    return Touched(sum(code for code, _, _ in accesses), lines, {line * LINE // PAGE for line in lines})


def frames(trace, end):
    """The accesses of each frame: from one call of the function at `end` to the next."""
    accesses = None
    for line in trace:
        match = ACCESS.match(line.rstrip("\n"))
        if not match:
            continue
        code, address = match[1] == "I ", int(match[2], 16)
        if code and address == end:
            if accesses is not None:
                yield accesses
            accesses = []
        elif accesses is not None:
            accesses.append((code, address, int(match[3])))


def where(maps, page):
    for line in maps:
        words = line.split()
        first, last = (int(word, 16) for word in words[0].split("-"))
        if first <= page * PAGE < last:
            return f"{words[1]} {pathlib.Path(words[5]).name if len(words) > 5 else ''}"
    return "?"


def measure(directory, socket, *how):
    """[Touched of each frame], the mappings."""
    trace = pathlib.Path(directory, "trace")
    reader = subprocess.run(
        ["valgrind", "--tool=lackey", "--trace-mem=yes", f"--log-file={trace}", BUILD / "tests/bench/touched-reader",
         socket, str(FRAMES), *how], stdout=subprocess.PIPE, text=True, check=True, timeout=PATIENCE_S)
    end, *maps = reader.stdout.splitlines()
    with open(trace) as file:
        return [touched(accesses) for accesses in frames(file, int(end, 16))][WARM:], maps


def show(name, found, maps, everything):
    def median(count):
        return round(statistics.median(count(frame) for frame in found))

    print(f"{name:12}{median(lambda frame: frame.instructions):13}{median(lambda frame: len(frame.lines)):8}"
          f"{median(lambda frame: len(frame.pages)):7}")
    if everything:
        typical = sorted(found, key=lambda frame: len(frame.pages))[len(found) // 2]
        for page in sorted(typical.pages):
            print(f"    {page * PAGE:#14x}{sum(line * LINE // PAGE == page for line in typical.lines):4} "
                  f"{where(maps, page)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="list the pages, and the cache lines in each")
    arguments = parser.parse_args()
    if shutil.which("valgrind") is None:
        sys.exit("touched.py: valgrind is not installed: scripts/packages bench")
    if not (BUILD / "tests/bench/touched-reader").exists():
        sys.exit(f"touched.py: {BUILD} has no tests/bench/touched-reader: build it, and name it in CAMTAP_BUILD")
    with tempfile.TemporaryDirectory(prefix="camtap-touched-") as directory:
        socket = os.path.join(directory, "socket")
        daemon = subprocess.Popen([BUILD / "daemon/camtapd", "--config", "/dev/null", "--socket", socket, "--source",
                                   "pattern:", "--size", "320x240", "--rate", "30", "--always-on"],
                                  stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not os.path.exists(socket):
                if daemon.poll() is not None or time.monotonic() > deadline:
                    sys.exit("touched.py: camtapd does not start")
                time.sleep(0.05)
            print(f"{'a frame by':12}{'instructions':>13}{'lines':>8}{'pages':>7}")
            for name, how in (("bell", ()), ("event loop", ("poll",))):
                show(name, *measure(directory, socket, *how), arguments.all)
        finally:
            daemon.terminate()
            daemon.wait()


if __name__ == "__main__":
    main()
