#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""compare.py: camtap, what the kernel alone costs, and the peers, side by side; scripts/bench calls it.

In each round every candidate runs once for each combination of size, rate and number of readers, in an order that
goes on by one each time. Ratios are to the SEQPACKET floor of the same round and combination; what is shown is the
median over the rounds."""

import argparse
import collections
import fcntl
import json
import os
import platform
import signal
import sys
import time

import aims
import candidates
import figures
import sheet as sheets

SIZES = {"vga": (640, 480), "1080p": (1920, 1080), "4k": (3840, 2160)}
BASE = "seqpacket"
UNPACED_SECONDS = 1
COMPARED = ("p50_us", "p90_us", "p99_us", "last_p50_us", "last_p99_us", "producer_us", "reader_us", "rate")


class Cell(collections.namedtuple("Cell", "size rate readers")):
    """One combination. rate 0: unpaced."""

    @property
    def width(self):
        return SIZES[self.size][0]

    @property
    def height(self):
        return SIZES[self.size][1]

    @property
    def frame_size(self):  # NV12
        return self.width * self.height * 3 // 2

    def __str__(self):
        rate = f"{self.rate} fps" if self.rate else "unpaced"
        return f"{self.size}, {rate}, {self.readers} reader{'s' if self.readers > 1 else ''}"


def cpu_ns(pid):
    """CLOCK_PROCESS_CPUTIME_ID of another process: clock_getcpuclockid(3)."""
    try:
        return time.clock_gettime_ns(~pid << 3 | 2)
    except OSError:
        raise candidates.Failed(f"process {pid} has ended")


def sleep_until_ns(when):
    while (left := when - time.monotonic_ns()) > 0:
        time.sleep(left / 1e9)


class Look:
    """CPU clocks of a run's processes, and the frames so far, at one moment."""

    def __init__(self, run):
        self.time_ns = time.monotonic_ns()
        self.published = run.sheet.layout.published
        self.producer = sum(map(cpu_ns, run.producers))
        self.broker = sum(map(cpu_ns, run.brokers))
        self.readers = [cpu_ns(reader.pid) for reader in run.sheet.readers]
        self.seen = [reader.seen for reader in run.sheet.readers]


def measure(candidate, cell, seconds, straggling=0.3):
    """One run -> its figures. Raises candidates.Failed."""
    if candidate.alone:
        cell = cell._replace(readers=0)
    run = candidates.Run(cell, candidate.faults)
    try:
        layout = run.sheet.layout
        candidate.begin(run)
        run.wait_for(lambda: layout.published >= sheets.WARM_FRAMES and all(
            reader.seen >= sheets.WARM_FRAMES for reader in run.sheet.readers), "not all readers are warm")
        start = time.monotonic_ns() + 100_000_000
        layout.until_ns = start + int(seconds * 1e9)
        layout.from_ns = start  # from here on they look at it
        sleep_until_ns(start)
        before = Look(run)
        sleep_until_ns(layout.until_ns)
        after = Look(run)
        time.sleep(straggling)  # frames of the window may still be on their way
        for process in run.processes:
            if process.poll() is not None:
                raise candidates.Failed(f"{os.path.basename(process.args[0])} has ended: {run.log()}")
        return evaluate(run, before, after, seconds)
    finally:
        run.finish()


def evaluate(run, before, after, seconds):
    readers = run.sheet.readers
    published = after.published - before.published
    result = {
        "published": published,
        "published_rate": published * 1e9 / (after.time_ns - before.time_ns),
        "producer_us": (after.producer - before.producer) / 1e3 / published if published else None,
        "broker_us": (after.broker - before.broker) / 1e3 / published if published else None,
    }
    if not readers:
        return result
    latencies = run.sheet.latencies()
    each = [latency / 1e3 for reader in latencies for latency in reader.values()]
    last = [latency / 1e3 for latency in figures.last_readers(latencies)]
    seen = [b - a for a, b in zip(before.seen, after.seen)]
    cpu = [b - a for a, b in zip(before.readers, after.readers)]
    told = [reader.told for reader in readers if reader.told != sheets.TOLD_NOTHING]
    result |= {
        "p50_us": figures.percentile(each, 50), "p90_us": figures.percentile(each, 90),
        "p99_us": figures.percentile(each, 99),
        "last_p50_us": figures.percentile(last, 50), "last_p99_us": figures.percentile(last, 99),
        "reader_us": sum(cpu) / 1e3 / sum(seen) if sum(seen) else None,
        # what a reader took up, torn frames included: the floors do not protect theirs
        "rate": figures.median([(reader.received + reader.torn) / seconds for reader in readers]),
        "rate_least": min((reader.received + reader.torn) / seconds for reader in readers),
        **{name: sum(getattr(reader, name) for reader in readers)
           for name in ("received", "gaps", "torn", "revoked", "again")},
        "missed": figures.missed([(reader.first_within, reader.last_within, reader.received + reader.torn)
                                  for reader in readers]),
        "untold": abs(sum(reader.gaps for reader in readers) - sum(told)) if told else None,
    }
    return result


def subtract_pace(row):
    """The pace of this round is subtracted from everybody's producer. Unpaced there is none."""
    pace = row.get(candidates.PACE.name)
    for name, result in row.items():
        if "error" in result or name == candidates.PACE.name:
            continue
        result["producer_raw_us"] = result["producer_us"]
        if pace is not None and "error" not in pace and result["producer_us"] is not None:
            result["producer_us"] += result["broker_us"] - pace["producer_us"]


def run_cell(cell, chosen, turn, seconds):
    row = {}
    for candidate in figures.rotated(chosen, turn):
        if cell.readers > candidate.limit:
            row[candidate.name] = {"error": f"at most {candidate.limit} readers"}
            continue
        try:
            row[candidate.name] = measure(candidate, cell, seconds)
        except candidates.Failed as failure:
            row[candidate.name] = {"error": str(failure)}
            print(f"  {candidate.name}: {cell}: {failure}", file=sys.stderr, flush=True)
    if cell.rate:
        subtract_pace(row)
    return row


def summary(rounds, name):
    """A candidate's medians over the rounds of one cell, and its ratios to the base."""
    good = [row[name] for row in rounds if name in row and "error" not in row[name]]
    if not good:
        errors = [row[name]["error"] for row in rounds if name in row]
        return {"error": errors[-1] if errors else "not run"}
    result = {key: figures.median([figure.get(key) for figure in good])
              for key in sorted({key for figure in good for key in figure})}
    result["rounds"] = len(good)
    result["ratio"] = {}
    result["ratio_spread"] = {}
    for key in COMPARED:
        found = figures.ratios(rounds, name, BASE, key) if name != candidates.PACE.name else []
        result["ratio"][key] = figures.median(found)
        result["ratio_spread"][key] = figures.spread(found)
    return result


# ---- output ----

COLUMNS = (("p50", "p50_us"), ("p90", "p90_us"), ("p99", "p99_us"), ("last p50", "last_p50_us"), ("last p99", "last_p99_us"),
           ("producer", "producer_us"), ("reader", "reader_us"), ("frames/s", "rate"), ("missed", "missed"),
           ("torn", "torn"))
RATIOS = (("p50", "p50_us"), ("p90", "p90_us"), ("p99", "p99_us"), ("last", "last_p50_us"),
          ("producer", "producer_us"), ("rate", "rate"))


def number(value):
    if value is None:
        return "-"
    if abs(value) >= 1e5:
        return f"{value / 1e3:.0f} k"
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.1f}"


def table(cell, summaries, labels):
    lines = [f"\n{cell}: latency and CPU time per frame in us" + (", pace subtracted" if cell.rate else "") +
             f"; to the right, ratios to {labels[BASE]}"]
    head = "".join(f"{title:>10}" for title, _ in COLUMNS) + " |" + "".join(f"{title:>10}" for title, _ in RATIOS)
    lines.append(" " * 34 + head)
    for name, result in summaries.items():
        if "error" in result:
            lines.append(f"{labels[name]:34}  -  {result['error']}"[:150])
            continue
        values = "".join(f"{number(result.get(key)):>10}" for _, key in COLUMNS)
        compared = "".join(f"{'-' if (value := result['ratio'].get(key)) is None else f'{value:.2f}':>10}"
                           for _, key in RATIOS)
        lines.append(f"{labels[name]:34}{values} |{compared}")
    return "\n".join(lines)


def aims_text(found):
    """One line for each that holds or not; counts that are as they must be are one line together."""
    lines = ["\nwhat camtap aims at:"]
    fine = 0
    for aim in found:
        if aim["limit"] == "none" and aim["met"]:
            fine += 1
        else:
            lines.append(f"  {'yes' if aim['met'] else 'NO ':3}  {aim['text']}: {aim['value']:.2f} ({aim['limit']})")
    lines.append(f"  yes  {fine} times: none torn, counted twice, missed untold, or missed by one of 64 readers")
    return "\n".join(lines)


def processor_times():
    """Of all processors together: the first line of proc_stat(5)."""
    with open("/proc/stat") as file:
        return file.readline()


def machine():
    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return {"processor": models[0] if models else platform.machine(), "processors": os.cpu_count(),
            "kernel": platform.release(), "load": os.getloadavg()[0], "nice": os.nice(0)}


def parse():
    parser = argparse.ArgumentParser(prog="bench", description="measures camtap beside the bare kernel and its peers")
    parser.add_argument("--quick", action="store_true",
                        help="1080p only, 60 fps, 1, 4 and 16 readers, 3 rounds of 1 s: a first look")
    parser.add_argument("--only", metavar="NAMES", help="candidates, with commas; the SEQPACKET floor is always one")
    parser.add_argument("--rounds", type=int, metavar="N", help="default: 5")
    parser.add_argument("--sizes", metavar="LIST", help=f"default: {','.join(SIZES)}")
    parser.add_argument("--readers", metavar="LIST", help="default: 1,4,16,64")
    parser.add_argument("--rates", metavar="LIST", help="frames per second, 0: unpaced; default: 60,0")
    parser.add_argument("--seconds", type=float, metavar="S",
                        help="of each run that is measured; default: 3 (unpaced: 1, which is thousands of frames)")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--svg", metavar="FILE")
    parser.add_argument("--list", action="store_true", help="the candidates, and how each is set up")
    return parser.parse_args()


def numbers(text):
    return [int(word) for word in text.split(",")]


def cells(arguments):
    sizes = (arguments.sizes or ("1080p" if arguments.quick else ",".join(SIZES))).split(",")
    rates = numbers(arguments.rates or ("60" if arguments.quick else "60,0"))
    readers = numbers(arguments.readers or ("1,4,16" if arguments.quick else "1,4,16,64"))
    for size in sizes:
        if size not in SIZES:
            sys.exit(f"bench: no such size: {size} ({', '.join(SIZES)})")
    if not all(0 < count <= sheets.READERS_MAX for count in readers):
        sys.exit(f"bench: 1 to {sheets.READERS_MAX} readers")
    # sizes next to each other in time: they are compared within a round
    return [Cell(size, rate, count) for rate in rates for count in readers for size in sizes]


def sizes_first(cell):
    return list(SIZES).index(cell.size), -cell.rate, cell.readers


def choose(only):
    """(candidates that will run, those left out: {name: why})"""
    every = [*candidates.FLOORS, *candidates.SYSTEMS]
    if only:
        known = {candidate.name: candidate for candidate in [*every, *candidates.CHECKS]}
        names = only.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            sys.exit(f"bench: no such candidate: {', '.join(unknown)} ({', '.join(known)})")
        every = [candidate for name, candidate in known.items() if name in names or name == BASE]
    left_out = {candidate.label: why for candidate in every if (why := candidate.missing())}
    return [candidates.PACE] + [candidate for candidate in every if not candidate.missing()], left_out


def main():
    arguments = parse()
    chosen, left_out = choose(arguments.only)
    labels = {candidate.name: candidate.label for candidate in chosen}
    if arguments.list:
        for candidate in chosen:
            print(f"{candidate.name:18} {candidate.how}")
    for label, why in left_out.items():
        print(f"left out: {label}: {why}")
    if arguments.list:
        return
    if candidates.PACE.missing():
        sys.exit("bench: nothing is built: scripts/bench does that")
    if arguments.svg:
        import plot  # matplotlib may be missing: now is the time to say so
    lock = open(os.path.join(candidates.BUILD, "bench.lock"), "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("bench: it runs already, and two would measure each other")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through all that cleans up
    rounds = arguments.rounds or (3 if arguments.quick else 5)
    paced_seconds = arguments.seconds or (1 if arguments.quick else 3)
    found = {cell: [] for cell in cells(arguments)}
    about = {"command": "scripts/bench " + " ".join(sys.argv[1:]), "rounds": rounds, "seconds": paced_seconds,
             "machine": machine(), "left_out": left_out,
             "how": {candidate.name: candidate.how for candidate in chosen}, "labels": labels}
    print(f"{about['machine']['processors']} x {about['machine']['processor']}, Linux {about['machine']['kernel']}, "
          f"load {about['machine']['load']:.1f}; {rounds} rounds of {paced_seconds:g} s" +
          (f"; at nice {about['machine']['nice']}, which is no way to measure" if about["machine"]["nice"] else ""))
    times = processor_times()
    for turn in range(rounds):
        for place, cell in enumerate(found):
            seconds = paced_seconds if cell.rate or arguments.seconds else UNPACED_SECONDS
            found[cell].append(run_cell(cell, chosen, turn + place, seconds))
        print(f"round {turn + 1} of {rounds}: done", file=sys.stderr, flush=True)
    about["machine"]["load_at_end"] = os.getloadavg()[0]
    about["machine"]["stolen"] = figures.stolen(times, processor_times())
    about["cells"] = []
    for cell, rows in sorted(found.items(), key=lambda item: sizes_first(item[0])):
        summaries = {candidate.name: summary(rows, candidate.name) for candidate in chosen}
        print(table(cell, summaries, labels))
        about["cells"].append({**cell._asdict(), "summary": summaries, "rounds": rows})
    print(f"\nmeanwhile the host took {about['machine']['stolen']:.1%} of the processors' time"
          " (a virtual machine's; where it is not 0, p99 is the host's)")
    print("\nhow each is set up:")
    for candidate in chosen:
        print(f"  {candidate.label}: {candidate.how}")
    about["aims"] = [aim._asdict() for aim in aims.judge(found)]
    if about["aims"]:
        print(aims_text(about["aims"]))
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(about, file, indent=1)
    if arguments.svg:
        plot.draw(about, arguments.svg)


if __name__ == "__main__":
    main()
