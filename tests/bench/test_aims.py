# SPDX-License-Identifier: MIT
"""Whether camtap is where it wants to be: scripts/bench must not say so when it is not."""

import aims
from compare import Cell


def rounds(**candidates):
    """The same figures in three rounds."""
    return [{name: dict(figures) for name, figures in candidates.items()}] * 3


def verdicts(found, word):
    return [aim.met for aim in aims.judge(found) if word in aim.text]


def latency(value):
    return {"p50_us": value, "p99_us": value}


def test_many_readers_must_be_told_faster_than_the_floor_does():
    for readers, value, met in ((1, 10, True), (1, 10.1, False), (16, 8, True), (16, 8.1, False), (64, 9, False)):
        found = {Cell("1080p", 60, readers): rounds(camtap=latency(value), seqpacket=latency(10))}
        assert verdicts(found, "to the floor's") == [met, met]


def test_the_producer_of_many_must_be_cheaper():
    for value, met in ((6, True), (6.1, False)):
        found = {Cell("1080p", 60, 16): rounds(camtap={"producer_us": value}, seqpacket={"producer_us": 10})}
        assert verdicts(found, "CPU") == [met]


def test_every_peer_counts():
    for value, met in ((9, True), (11, False)):
        found = {Cell("1080p", 60, 4): rounds(camtap=latency(value), pipewire=latency(100), iceoryx=latency(10))}
        assert verdicts(found, "iceoryx") == [met, met]


def test_one_bad_round_is_one_too_many():
    for key, word in (("torn", "torn"), ("again", "twice"), ("untold", "untold"), ("missed", "missed frames")):
        rows = rounds(camtap={key: 0})
        assert verdicts({Cell("4k", 60, 64): rows}, word) == [True]
        rows = [{"camtap": {key: 0}}, {"camtap": {key: 1}}, {"camtap": {key: 0}}]
        assert verdicts({Cell("4k", 60, 64): rows}, word) == [False]


def test_unpaced_at_least_the_floors_rate():
    for rate, met in ((100, True), (99, False)):
        found = {Cell("1080p", 0, 4): rounds(camtap={"rate": rate}, seqpacket={"rate": 100})}
        assert verdicts(found, "frames per second") == [met]


def test_size_must_cost_nothing():
    for value, met in ((11, True), (11.2, False)):
        found = {Cell("vga", 60, 1): rounds(camtap=latency(10)), Cell("4k", 60, 1): rounds(camtap=latency(value))}
        assert verdicts(found, "VGA") == [met]


def test_slow_readers_must_cost_nothing():
    for value, met in ((11, True), (11.2, False)):
        found = {Cell("1080p", 60, 4): rounds(**{"camtap-holding": {"producer_raw_us": value},
                                                "camtap-alone": {"producer_raw_us": 10}})}
        assert verdicts(found, "200 ms") == [met]


def test_what_was_not_measured_is_no_aim():
    assert aims.judge({Cell("1080p", 60, 1): rounds(seqpacket=latency(1))}) == []
    assert aims.judge({Cell("1080p", 60, 1): [{"camtap": {"error": "it"}, "seqpacket": latency(1)}]}) == []
