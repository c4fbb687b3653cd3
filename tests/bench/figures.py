# SPDX-License-Identifier: MIT
"""What becomes of measured numbers: percentiles of one run, and ratios and medians over rounds."""

import math
import statistics


def percentile(values, percent):
    """The smallest value that is not exceeded by `percent` of all (nearest rank); None of none."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def last_readers(latencies):
    """Of each frame that all readers got, the latency of the last of them."""
    if not latencies:
        return []
    common = set(latencies[0]).intersection(*latencies[1:])
    return [max(reader[number] for reader in latencies) for number in common]


def missed(readers):
    """[(number of the first frame that a reader got, of the last, how many)] -> frames that readers did not get,
    all together, of those between the first and the last that anybody got."""
    there = [reader for reader in readers if reader[0] > 0]
    if not there:
        return 0
    span = max(last for _, last, _ in there) - min(first for first, _, _ in there) + 1
    return sum(max(0, span - count) for _, _, count in readers)


def median(values):
    """Of those that are there; None of none."""
    there = [value for value in values if value is not None]
    return statistics.median(there) if there else None


def stolen(before, after):
    """What the host of a virtual machine took of its processors' time, of 1, between two looks at the first line of
    proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal, and guests' times, which user has, too."""
    passed = [int(b) - int(a) for a, b in zip(before.split()[1:9], after.split()[1:9])]
    return passed[7] / sum(passed) if sum(passed) else 0.0


def ratio(value, base):
    return None if value is None or base is None or base <= 0 else value / base


def ratios(rounds, name, base, key):
    """[{name: {key: value}}] -> the candidate's value to the base's of the same round, for each round that
    has both."""
    found = (ratio(row[name].get(key), row[base].get(key))
             for row in rounds if name in row and base in row)
    return [value for value in found if value is not None]


def spread(values):
    """(lowest, highest) of those that are there; None of none."""
    there = [value for value in values if value is not None]
    return (min(there), max(there)) if there else None


def rotated(names, turn):
    """The same names, beginning with another one each turn."""
    if not names:
        return []
    turn %= len(names)
    return names[turn:] + names[:turn]
