#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""streams.py [--seconds S]: what a derived stream costs, as ratios of CPU time within one run.

A recording of 1920x1080 JPEGs (4:2:2) is played at 30 frames per second. CPU time of the daemon and all
clients together, per frame of the camera, while these read:

  1 and 8 clients of GREY:640x360              8 may cost at most 1.3 times what 1 does
  8 clients that each decode for themselves    8 of the stream may cost at most 0.2 times that

CAMTAP_BUILD names the build directory (optimised, without sanitizers). Ends with 1 if a ratio is above its limit."""

import argparse
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

from camtap_testing import Bench, Program, build_path, is_sanitized, wait_for  # noqa: E402
from recordings import mjpeg  # noqa: E402

STREAM = "GREY:640x360"


def process_cpu_ns(pid):
    """CLOCK_PROCESS_CPUTIME_ID of another process: clock_getcpuclockid(3)."""
    return time.clock_gettime_ns(~pid << 3 | 2)


class Costs:
    """CPU time of a daemon and its clients, and frames."""

    def __init__(self, daemon, clients):
        answers = [client.ask() for client in clients]
        self.published = daemon.counters()["published"]
        self.daemon_ns = process_cpu_ns(daemon.pid)
        self.clients_ns = [answer["cpu_ns"] for answer in answers]
        self.read = [answer["frames"] for answer in answers]


def measure(film, count, seconds, stream, *decode):
    """Milliseconds of CPU per frame: (daemon, clients)."""
    bench = Bench()
    try:
        daemon = bench.daemon("--loop", "--rate", "30", source=f"file:{film}")
        clients = [Program([build_path("tests/bench/bench-reader"), daemon.socket, stream, *decode],
                           bench.directory) for _ in range(count)]
        bench.programs += clients
        for client in clients:
            wait_for(lambda: client.ask()["frames"] > 30, "frames", interval=0.2)
        before = Costs(daemon, clients)
        time.sleep(seconds)
        after = Costs(daemon, clients)
        published = after.published - before.published
        read = [b - a for a, b in zip(before.read, after.read)]
        daemon_ms = (after.daemon_ns - before.daemon_ns) / 1e6 / published
        # per frame that it read: who cannot keep up, and skips, is not cheap for that
        clients_ms = sum((b - a) / 1e6 / frames for a, b, frames in
                         zip(before.clients_ns, after.clients_ns, read))
        print(f"{count} x {stream or 'native'} {' '.join(decode)}: daemon {daemon_ms:.2f} ms, clients "
              f"{clients_ms:.2f} ms of CPU per frame; {published / seconds:.1f} frames per second, of "
              f"which each read {100 * min(read) / published:.0f} % or more", flush=True)
        return daemon_ms + clients_ms
    finally:
        bench.finish(failed=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    arguments = parser.parse_args()
    if is_sanitized():
        sys.exit("streams.py: a build with sanitizers measures nothing")
    bench = Bench()
    try:
        film = mjpeg(os.path.join(bench.directory, "film.mjpeg"), width=1920, height=1080, frames=60)
        one = measure(film, 1, arguments.seconds, STREAM)
        eight = measure(film, 8, arguments.seconds, STREAM)
        alone = measure(film, 8, arguments.seconds, "", "grey")
        half = measure(film, 8, arguments.seconds, "", "half")
    finally:
        bench.finish(failed=False)
    print(f"8 clients of the stream : 1 client of it                              {eight / one:.2f} (at most 1.3)")
    print(f"8 clients of the stream : 8 that decode (grey, whole)                 {eight / alone:.2f} (at most 0.2)")
    print(f"8 clients of the stream : 8 that decode (grey, half the size)         {eight / half:.2f}")
    sys.exit(eight > 1.3 * one or eight > 0.2 * alone)


if __name__ == "__main__":
    main()
