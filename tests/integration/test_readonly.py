# SPDX-License-Identifier: MIT
"""That a client cannot write into the pool is the kernel's promise, to root and to anybody."""

import os

import pytest

REFUSALS = {
    # The open mode of what is received ...
    "as received": {
        "map writable": "EACCES",
        "map for writing only": "EACCES",
        "write": "EBADF",
        "pwrite": "EBADF",
        "splice": "EBADF",
        "copy": "EBADF",
        "grow": "EINVAL",
        "shrink": "EINVAL",
        "allocate": "EBADF",
        "punch a hole": "EBADF",
        "seal": "EPERM",
    },
    "mapping": {
        "mprotect": "EACCES",
        "MADV_REMOVE": "EACCES",
        "/proc/self/mem": "EIO",
        "process_vm_writev": "EFAULT",
        "PTRACE_POKEDATA": "EIO",
        "read() into it": "EFAULT",
    },
    "private": {"write reaches the pool": "EROFS"},
}
# ... is worth nothing: it is opened anew for writing. There the seals hold.
SEALED = {
    attempt: "EPERM"
    for attempt in (
        "map writable",
        "map for writing only",
        "write",
        "pwrite",
        "splice",
        "copy",
        "grow",
        "shrink",
        "allocate",
        "punch a hole",
        "seal",
    )
}
BY_FD, BY_MAP = "reopened by /proc/self/fd", "reopened by /proc/self/map_files"


def attempts(program):
    """{by what: {how: error}} of a run of programs/readonly."""
    seen = {}
    for line in program.popen.stdout:
        by, how, error = line.decode().rstrip("\n").rsplit(": ", 2)
        seen.setdefault(by, {})[how] = error
    return seen


# root, and an ordinary user
UIDS = [0, 65534] if os.getuid() == 0 else [os.getuid()]


@pytest.mark.parametrize("uid", UIDS)
def test_no_way_to_write(bench, uid):
    daemon = bench.daemon("--size", "320x180")
    daemon.let_in_everybody()
    attacker = bench.program("readonly", daemon.socket, uid)
    seen = attempts(attacker)
    assert attacker.wait() == 0, seen
    expected = dict(REFUSALS)
    expected[BY_FD] = SEALED
    # only root may open these at all
    expected[BY_MAP] = SEALED if uid == 0 else {"open for writing": "EPERM"}
    assert seen == expected
    report = bench.reader(daemon, "--verify", "--frames", 30).result()
    assert report["frames"] == 30 and report["torn"] == 0, report


def test_control(bench):
    """The attempts are real: without seals, the same ones succeed."""
    attacker = bench.program("readonly", "control")
    seen = attempts(attacker)
    assert attacker.wait() == 1
    assert set(seen[BY_FD]) == set(SEALED)
    assert set(seen[BY_FD].values()) == {"ALLOWED"}


def attack_the_bell(bench, daemon, uid):
    """What came of it, and the file that it was."""
    attacker = bench.program("readonly", daemon.socket, uid, "bell")
    seen = attempts(attacker)
    assert attacker.wait() == 0, seen
    return seen, seen.pop("bell")["inode"]


def test_no_way_to_write_the_bell(bench):
    """As little as the pool, and each user has one of its own."""
    daemon = bench.daemon("--size", "320x180")
    daemon.let_in_everybody()
    # it stays there for as long as it has a reader
    keepers = [
        bench.steady(daemon, wrapper=["setpriv", f"--reuid={uid}", "--clear-groups"] if uid else ())
        for uid in UIDS
    ]
    inodes = set()
    for uid in UIDS:
        seen, inode = attack_the_bell(bench, daemon, uid)
        assert attack_the_bell(bench, daemon, uid) == (seen, inode), "readers of a user share it"
        inodes.add(inode)
        expected = {by: REFUSALS[by] for by in ("as received", "mapping")}
        expected[BY_FD] = SEALED
        expected[BY_MAP] = SEALED if uid == 0 else {"open for writing": "EPERM"}
        assert seen == expected
    assert len(inodes) == len(UIDS)
    for keeper in keepers:
        assert keeper.finish()["error"] == 0
