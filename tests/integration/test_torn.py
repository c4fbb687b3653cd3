# SPDX-License-Identifier: MIT
"""A frame that a reader has locked is never overwritten, however fast the source is."""

from camtap_testing import PATIENCE

READERS = 4
READS = 100_000
LIMIT = 90  # seconds; as root on a busy machine with sanitizers


def test_no_torn_frame(bench):
    """Four readers at an unpaced source; a fifth one without the lock shows what they would see."""
    daemon = bench.daemon("--size", "640x360", "--rate", "0")
    each = READS // READERS + 1000  # some may be revoked, which is not wrong
    readers = [
        bench.reader(daemon, "--verify", "--frames", each, *(["--latest"] if number % 2 else []))
        for number in range(READERS)
    ]
    control = bench.reader(daemon, "--verify", "--unlocked", "--frames", each)
    reports = [reader.result(timeout=LIMIT) for reader in readers]
    unlocked = control.result(timeout=LIMIT)
    print(reports, unlocked)
    assert sum(report["frames"] - report["stale"] for report in reports) >= READS
    assert [report["torn"] for report in reports] == [0] * READERS
    assert [report["order_errors"] for report in reports] == [0] * READERS
    assert unlocked["torn"] > 0, "the control run proves nothing"


def test_revoked_frames_are_known(bench):
    """So few slots that leases are revoked all the time: who keeps a frame has a whole one, and
    who does not is told so."""
    daemon = bench.daemon("--size", "640x360", "--rate", "0", "--slots", "4")
    readers = [
        bench.reader(
            daemon, "--verify", "--frames", 500, "--hold-frames", 2, "--hold-ms", 1, "--name", n
        )
        for n in ("a", "b", "c")
    ]
    reports = [reader.result(timeout=PATIENCE) for reader in readers]
    assert [report["torn"] for report in reports] == [0, 0, 0]
    assert sum(report["stale"] for report in reports) > 0
    assert sum(report["stale"] for report in reports) == daemon.counters()["revoked"]
