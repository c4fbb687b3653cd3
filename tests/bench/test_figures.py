# SPDX-License-Identifier: MIT
"""What scripts/bench makes of numbers."""

import pytest

import figures


def test_percentiles_are_values_that_were_measured():
    values = list(range(1, 101))
    assert figures.percentile(values, 50) == 50
    assert figures.percentile(values, 99) == 99
    assert figures.percentile(values, 100) == 100
    assert figures.percentile([3, 1, 2], 50) == 2
    assert figures.percentile([7], 99) == 7
    assert figures.percentile([1, 2], 50) == 1
    assert figures.percentile([], 50) is None


def test_what_the_host_took_of_the_time():
    before = "cpu  1 0 1 90 0 0 1 7 0 0"
    assert figures.stolen(before, "cpu  11 0 11 165 0 0 1 12 10 0") == 0.05
    assert figures.stolen(before, before) == 0


def test_the_last_reader_of_each_frame_that_all_got():
    assert sorted(figures.last_readers([{1: 10, 2: 20, 3: 5}, {1: 15, 2: 2, 4: 99}])) == [15, 20]
    assert figures.last_readers([{1: 10}]) == [10]
    assert figures.last_readers([]) == []
    assert figures.last_readers([{1: 10}, {}]) == []


def test_frames_that_a_reader_misses_at_its_ends_count_too():
    assert figures.missed([(1, 10, 10), (1, 10, 10)]) == 0
    assert figures.missed([(1, 10, 10), (3, 8, 5)]) == 5
    assert figures.missed([(1, 10, 10), (0, 0, 0)]) == 10  # one that got none
    assert figures.missed([(1, 10, 12)]) == 0  # torn ones may be of other frames
    assert figures.missed([(0, 0, 0)]) == 0


def test_ratios_are_within_a_round():
    rounds = [{"a": {"x": 2.0}, "base": {"x": 1.0}},  # slow machine or fast one: the same ratio
              {"a": {"x": 20.0}, "base": {"x": 10.0}},
              {"a": {"x": 90.0}, "base": {"x": 30.0}}]
    assert figures.ratios(rounds, "a", "base", "x") == [2, 2, 3]
    assert figures.median(figures.ratios(rounds, "a", "base", "x")) == 2


def test_a_round_without_one_of_the_two_has_no_ratio():
    rounds = [{"a": {"x": 2.0}}, {"base": {"x": 1.0}}, {"a": {"error": "it"}, "base": {"x": 1.0}},
              {"a": {"x": 2.0}, "base": {"x": 0.0}}, {"a": {"x": 3.0}, "base": {"x": 1.0}}]
    assert figures.ratios(rounds, "a", "base", "x") == [3]


def test_medians_and_spreads_are_of_what_is_there():
    assert figures.median([5, None, 1, 3]) == 3
    assert figures.median([1, 2]) == 1.5
    assert figures.median([None]) is None
    assert figures.spread([5, None, 1]) == (1, 5)
    assert figures.spread([]) is None


@pytest.mark.parametrize("turn, order", [(0, "abc"), (1, "bca"), (2, "cab"), (3, "abc")])
def test_each_candidate_begins_a_round_in_its_turn(turn, order):
    assert "".join(figures.rotated(list("abc"), turn)) == order
