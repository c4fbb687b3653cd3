# SPDX-License-Identifier: MIT
"""The instrument itself: what it is made to miss, to count twice and to dawdle, it must show."""

import ctypes

import candidates
import compare
import sheet as sheets

DELAY_NS = 1_000_000


def test_the_layout_is_that_of_sheet_h():
    assert ctypes.sizeof(sheets.Reader) == 128  # as sheet.h asserts
    assert sheets.Layout.reader.offset == 128


def test_faults_are_seen(monkeypatch):
    entries = []

    def evaluate(run, before, after, seconds):
        entries.extend([entry.number for entry in run.sheet.layout.entries[i][:reader.received]]
                       for i, reader in enumerate(run.sheet.readers))
        return original(run, before, after, seconds)

    original = compare.evaluate
    monkeypatch.setattr(compare, "evaluate", evaluate)
    faulty = candidates.Floor("faulty", "", "", means="seqpacket",
                              faults={"skip": 10, "repeat": 7, "delay_ns": DELAY_NS})
    result = compare.measure(faulty, compare.Cell("vga", 200, 2), 0.5, straggling=0.1)
    missed = again = 0
    for numbers in entries:
        assert numbers == sorted(set(numbers))  # none twice
        # others may be missing, too: torn ones, if this machine was busy elsewhere for the time of 8 frames
        missing = set(range(numbers[0], numbers[-1] + 1)).difference(numbers)
        assert missing >= {number for number in range(numbers[0], numbers[-1]) if number % 10 == 0}
        assert not any(number % 10 == 0 for number in numbers)
        missed += len(missing)
        again += sum(number % 7 == 0 for number in numbers)
    assert len(entries) == 2 and result["received"] == sum(map(len, entries)) > 0
    assert result["gaps"] == missed > 0
    assert result["missed"] >= missed - result["torn"]
    assert result["again"] == again > 0
    assert result["p50_us"] >= DELAY_NS / 1e3
