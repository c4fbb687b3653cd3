# SPDX-License-Identifier: MIT
"""What camtap aims at, and whether a run of compare.py shows it: medians of ratios within rounds, and counts."""

import collections

import figures

FLOOR = "seqpacket"
PEERS = ("iceoryx", "gstreamer", "gstreamer-zero-copy", "pipewire", "ustreamer")

Aim = collections.namedtuple("Aim", "text value limit met")


def at_most(text, values, limit):
    value = figures.median(values)
    return [] if value is None else [Aim(text, value, f"at most {limit:g}", value <= limit)]


def at_least(text, values, limit):
    value = figures.median(values)
    return [] if value is None else [Aim(text, value, f"at least {limit:g}", value >= limit)]


def none(text, rows, key):
    """Not one in any round."""
    values = [row["camtap"][key] for row in rows if row.get("camtap", {}).get(key) is not None]
    return [Aim(text, max(values), "none", max(values) == 0)] if values else []


def beside_the_floor(cell, rows):
    found = []
    for key, name in (("p50_us", "p50"), ("p99_us", "p99")):
        found += at_most(f"{cell}: {name} to the floor's", figures.ratios(rows, "camtap", FLOOR, key),
                         0.8 if cell.readers >= 16 else 1.0)
    if cell.readers >= 16:
        found += at_most(f"{cell}: CPU time of the producer to the floor's",
                         figures.ratios(rows, "camtap", FLOOR, "producer_us"), 0.6)
    return found


def beside_the_peers(cell, rows):
    found = []
    for key, name in (("p50_us", "p50"), ("p99_us", "p99")):
        nearest = [(figures.median(ratios), peer) for peer in PEERS
                   if (ratios := figures.ratios(rows, "camtap", peer, key))]
        if nearest:
            value, peer = max(nearest)
            found += at_most(f"{cell}: {name} to the best peer's ({peer})", [value], 1.0)
    return found


def across_sizes(found, key, name):
    """4K to VGA, of the same round and number of readers."""
    aims = []
    for small in found:
        large = small._replace(size="4k")
        if small.size == "vga" and small.rate > 0 and large in found:
            rounds = [{"large": b["camtap"], "small": a["camtap"]} for a, b in zip(found[small], found[large])
                      if "camtap" in a and "camtap" in b]
            aims += at_most(f"{large}: {name} to that of VGA", figures.ratios(rounds, "large", "small", key), 1.1)
    return aims


def judge(found):
    """{cell: [round: {candidate: {key: value}}]} -> the aims that there are figures for."""
    aims = []
    for cell, rows in found.items():
        if cell.size == "1080p" and cell.rate > 0:
            aims += beside_the_floor(cell, rows) + beside_the_peers(cell, rows)
        if cell.size == "1080p" and cell.rate == 0 and cell.readers <= 16:
            aims += at_least(f"{cell}: frames per second to the floor's",
                             figures.ratios(rows, "camtap", FLOOR, "rate"), 1.0)
        # with the pace, which both have: what is left without it is little more than noise
        aims += at_most(f"{cell}: CPU time with readers that take 200 ms, to that without readers",
                        figures.ratios(rows, "camtap-holding", "camtap-alone", "producer_raw_us"), 1.1)
        aims += none(f"{cell}: torn frames", rows, "torn") + none(f"{cell}: frames counted twice", rows, "again")
        aims += none(f"{cell}: frames missed untold", rows, "untold")
        if cell.rate > 0 and cell.readers == 64:
            aims += none(f"{cell}: missed frames", rows, "missed")
    return aims + across_sizes(found, "p50_us", "p50") + across_sizes(found, "producer_us", "CPU time of the producer")
