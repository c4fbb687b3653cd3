#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""v4l2.py [--rounds N] [--calls] ...: CPU time of camtapd per frame of a V4L2 device, beside v4l2-ctl.

In the guest of tests/vm, of vivid at 60 frames per second, in each round one after the other:

  v4l2-ctl --stream-mmap                       takes a frame, gives the buffer back, and writes a '<'
  camtapd --memory userptr|dmabuf|copy         always on, without readers and with one

What is shown is the ratio to v4l2-ctl of the same round: the median, the lowest and the highest. The processor is
emulated and its time is the number of instructions (tests/vm/guest --count), so that the ratios are the same on a
busy machine; other times say nothing. --calls counts system calls per frame instead.

With more than one of --sizes, each is held against the first: size costs nothing where nothing is copied.

CAMTAP_BUILD names the build directory (optimised, without sanitizers). Ends with 1 if camtapd that writes in place,
without readers, is above a limit."""

import argparse
import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import figures

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("CAMTAP_BUILD", "build"))
BASE = "v4l2-ctl"
CANDIDATES = [BASE, "v4l2-ctl-again", "userptr-0", "userptr-1", "dmabuf-0", "dmabuf-1", "copy-0", "copy-1"]
LIMIT = 1.2  # of the ways without a copy: how many instructions a memcpy() has says nothing
SIZE_LIMIT = 1.1  # of another size to the first
LIMITED = ("userptr-0", "userptr-1", "dmabuf-0", "dmabuf-1")
DECIDES = "userptr-0"
TRACED_S = 8
START_S = 60  # of the guest, and of each candidate, at most: of the host's time


def guest(*arguments, share, timeout):
    # --count has one processor: of two, one spins on vivid's mutex while vivid's thread draws on the other
    command = [HERE.parent / "vm/guest", "--timeout", timeout, "--memory", 768, "--count", "--share", share,
               "--bin", BUILD / "daemon/camtapd", "--bin", BUILD / "tests/bench/v4l2-cost", "--bin", "strace",
               HERE / "v4l2.sh", *arguments]
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    if done.returncode != 0:
        sys.exit(f"v4l2.py: the guest failed, status {done.returncode}:\n{done.stdout[-3000:]}")
    return done.stdout


# ---- CPU time ----

def evaluate(result):
    """A line of v4l2-cost -> figures per frame: an instruction takes 1 ns."""
    frames = result["frames"]
    return {"instructions": sum(result["threads"].values()) / frames,
            "vivid": result["vivid_ns"] / frames,
            "rate": frames / result["seconds"],
            "dropped": result["dropped"]}


def measure(size, arguments):
    """[round: {candidate: figures}]"""
    order = [figures.rotated(CANDIDATES, turn) for turn in range(arguments.rounds)]
    names = [name for names in order for name in names]
    with tempfile.TemporaryDirectory(prefix="camtap-v4l2-") as share:
        output = guest("cost", *size.split("x"), arguments.pixel_format, arguments.seconds, *names, share=share,
                       timeout=len(names) * (arguments.seconds + START_S))
    found = [(name, json.loads(text)) for name, text in re.findall(r"^([\w-]+) (\{.*\})\r?$", output, re.MULTILINE)]
    if [name for name, _ in found] != names:
        sys.exit(f"v4l2.py: not all was measured:\n{output[-3000:]}")
    found = iter(found)
    return [{name: evaluate(result) for name, result in (next(found) for _ in names)} for names in order]


def show(size, rows, arguments):
    """True: what decides is within the limit."""
    print(f"{size} {arguments.pixel_format}, {len(rows)} rounds of {arguments.seconds:g} s: CPU time per frame, to "
          f"that of {BASE}")
    print(f"{'':16}{'ratio':>6}  {'lowest, highest':16}{'instructions':>12}{'frames/s':>10}{'dropped':>9}"
          f"{'vivid itself':>14}")
    good = True
    for name in CANDIDATES:
        ratios = figures.ratios(rows, name, BASE, "instructions")
        median, (low, high) = figures.median(ratios), figures.spread(ratios)
        shown = {key: figures.median([row[name][key] for row in rows]) for key in ("instructions", "rate", "vivid")}
        dropped = "-" if name.startswith(BASE) else sum(row[name]["dropped"] for row in rows)
        verdict = ""
        if name in LIMITED:
            verdict = f"  at most {LIMIT:g}: {'yes' if median <= LIMIT else 'NO'}"
            good = good and (name != DECIDES or median <= LIMIT)
        print(f"{name:16}{median:6.2f}  {low:.2f}, {high:<10.2f}{shown['instructions']:12.0f}{shown['rate']:10.1f}"
              f"{dropped:>9}{shown['vivid']:14.0f}{verdict}", flush=True)
    return good


def show_sizes(found):
    """True: what decides costs the same in all sizes."""
    (first, base), *others = found.items()
    good = True
    for size, rows in others:
        print(f"{size} to {first}:")
        for name in LIMITED:
            ratio = figures.ratio(*(figures.median([row[name]["instructions"] for row in of]) for of in (rows, base)))
            met = ratio <= SIZE_LIMIT
            print(f"{name:16}{ratio:6.2f}  at most {SIZE_LIMIT:g}: {'yes' if met else 'NO'}")
            good = good and (name != DECIDES or met)
    return good


# ---- system calls ----

def count_calls(share, name):
    """{thread: {call: per frame}}; a call that failed counts by itself."""
    threads = dict(line.split(maxsplit=1) for line in (share / f"{name}.threads").read_text().splitlines())
    calls = collections.defaultdict(collections.Counter)
    frames = 0
    for line in (share / f"{name}.calls").read_text().splitlines():
        found = re.match(r"(\d+) +(\w+)\((?:\d+, (VIDIOC_\w+))?.*?(?:= -1 (E\w+).*)?$", line)
        if not found:
            continue  # the end of one that was interrupted in its display
        call = " ".join(filter(None, (found[2] if not found[3] else found[3], found[4])))
        calls[threads.get(found[1], "?")][call] += 1
        frames += call == "VIDIOC_DQBUF"
    return {thread: {call: count / frames for call, count in counter.items()} for thread, counter in calls.items()}


def show_calls(arguments):
    names = [name for name in CANDIDATES if name != "v4l2-ctl-again"]
    with tempfile.TemporaryDirectory(prefix="camtap-v4l2-") as share:
        guest("calls", TRACED_S, *names, share=share, timeout=len(names) * START_S)
        for name in names:
            for thread, calls in count_calls(pathlib.Path(share), name).items():
                often = {call: count for call, count in calls.items() if count >= 0.1}
                if not often:
                    continue
                print(f"{name}, {thread}: {sum(often.values()):.1f} per frame: " +
                      ", ".join(f"{call} {count:.1f}" for call, count in sorted(often.items())))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of each candidate in each round")
    parser.add_argument("--sizes", default="1920x1080")
    parser.add_argument("--pixel-format", default="NV12")
    parser.add_argument("--calls", action="store_true", help="count system calls (strace) instead")
    parser.add_argument("--json", metavar="FILE", help="write all figures there, too")
    arguments = parser.parse_args()
    if arguments.calls:
        return show_calls(arguments)
    found = {size: measure(size, arguments) for size in arguments.sizes.split(",")}
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(found, indent=1))
    return sys.exit(not all([*(show(size, rows, arguments) for size, rows in found.items()), show_sizes(found)]))


if __name__ == "__main__":
    main()
