# SPDX-License-Identifier: MIT
"""How touched.py reads what lackey writes."""

import touched

TRACE = """\
==7== Command: touched-reader
I  00109000,3
 L 00001000,8
I  00109100,1
I  0010903e,4
 S 0000203e,8
 M 00001008,4
I  00109100,1
I  0010903e,4
"""


def test_frames_are_between_two_ends():
    assert list(touched.frames(TRACE.splitlines(), 0x109100)) == [
        [(True, 0x10903e, 4), (False, 0x203e, 8), (False, 0x1008, 4)]]


def test_what_lies_across_a_boundary_counts_on_both_sides():
    found = touched.touched([(True, 0x10903e, 4), (False, 0x203e, 8), (False, 0x1008, 4), (False, 0x1ffc, 8)])
    assert found.instructions == 1
    assert {line * 64 for line in found.lines} == {0x109000, 0x109040, 0x2000, 0x2040, 0x1000, 0x1fc0}
    assert {page * 4096 for page in found.pages} == {0x109000, 0x2000, 0x1000}


def test_pages_are_named():
    maps = ["00001000-00003000 rw-p 00000000 00:00 0", "00109000-0010a000 r-xp 00001000 00:00 7 /x/reader"]
    assert [touched.where(maps, page).strip() for page in (1, 0x109, 9)] == ["rw-p", "r-xp reader", "?"]
