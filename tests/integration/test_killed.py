# SPDX-License-Identifier: MIT
"""Clients that die: nothing of them is left, and nobody else notices."""

import os
import time

import pytest
from camtap_testing import BUILD, Connection, is_sanitized, wait_for

SLOTS_BACK_MS = 10  # design.md: "its slots are free again <= 10 ms after the hang-up"
NOISE_BYTES = 1 << 20


# $1 and $2 (the build, the test's own directory) stay where they are, even below /tmp.
PRIVATE = """
exec 8<"$1" 9<"$2"
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mkdir -p "$1" "$2"
mount -n --no-canonicalize --bind "/proc/$$/fd/8" "$1"
mount -n --no-canonicalize --bind "/proc/$$/fd/9" "$2"
exec 8<&- 9<&-
shift 2
exec "$@"
"""


def with_private_directories(bench):
    """A command that runs another one with a /dev/shm and a /tmp of its own; what it makes there is
    seen through /proc/PID/root."""
    script = ["sh", "-ec", PRIVATE, "sh", os.path.abspath(BUILD), bench.directory]
    return ["unshare", "--mount", "--propagation", "private", *script]


def traces(daemon, observer):
    """What a daemon has open, and what lies about."""
    return {
        "fds": daemon.fd_count(),
        "guards": daemon.mapping_count("memfd:camtap-guard"),
        "pools": daemon.mapping_count("memfd:camtap-pool"),
        "clients": len(observer.status()["streams"][0]["clients"]),
        "shared memory": sorted(os.listdir("/dev/shm")),
    }


def settled_traces(daemon, observer):
    """When they have not changed for a while: fds are closed by a thread of their own."""
    seen, since = traces(daemon, observer), time.monotonic()
    while time.monotonic() - since < 0.5:
        now = traces(daemon, observer)
        if now != seen:
            seen, since = now, time.monotonic()
        time.sleep(0.02)
    return seen


@pytest.mark.limit(150)
def test_thousand_clients_killed(bench):
    # Slots enough for all that they hold, so that nothing is revoked. A client counts until its
    # last descriptor is closed: those that die faster than that need room.
    room = ["--max-clients", "512", "--max-clients-per-uid", "512"]
    daemon = bench.daemon("--size", "320x180", "--slots", "64", *room)
    steady = bench.steady(daemon, "--verify")
    observer = bench.connection(daemon)
    # so that whatever the daemon allocates once is allocated
    bench.program("victims", "status", daemon.socket, 100, 1).result()
    before, memory = settled_traces(daemon, observer), daemon.memory()
    # AddressSanitizer keeps what is freed, for a while
    noise = (16 if is_sanitized() else 1) * NOISE_BYTES
    result = bench.program("victims", "status", daemon.socket, 1000, 2).result(timeout=120)
    print(result)
    assert result["killed"] == 1000
    # they died in all their ages
    assert 300 < result["holding"] <= result["attached"] < 1000
    assert result["most"] == 4
    # The median: one death in ten may meet a busy machine. The worst shows that none is forgotten.
    assert result["ms"]["p50"] <= SLOTS_BACK_MS, result
    assert result["ms"]["max"] <= 100 * SLOTS_BACK_MS, result

    assert settled_traces(daemon, observer) == before
    assert daemon.memory() <= memory + noise
    counters = daemon.counters()
    report = steady.finish()
    assert report["missed"] == 0 and report["order_errors"] == 0, report
    assert report["torn"] == 0 and report["stale"] == 0 and report["events"] == 0, report
    assert counters["pool_empty"] == 0 and counters["dropped_driver"] == 0, counters
    assert counters["revoked"] == 0, counters


def test_source_goes_on_at_once(bench):
    """A lossless source waits for the frames that a client keeps; when it is killed, the next frame
    comes: the slots are really free, not only said to be."""
    daemon = bench.daemon("--size", "320x180", "--rate", "0", "--lossless")
    result = bench.program("victims", "probe", daemon.socket, 100).result()
    print(result)
    assert result["killed"] == 100
    assert result["ms"]["p50"] <= SLOTS_BACK_MS, result
    assert result["ms"]["max"] <= 100 * SLOTS_BACK_MS, result


@pytest.mark.skipif(os.getuid() != 0, reason="needs a mount namespace")
def test_nothing_is_left_in_the_file_system(bench):
    """Everything is killed, the daemon last: nothing in /dev/shm, nothing in /tmp, and where its
    socket is nothing but the socket and its lock."""
    daemon = bench.daemon("--size", "320x180", wrapper=with_private_directories(bench))
    places = [f"/proc/{daemon.pid}/root{name}" for name in ("/dev/shm", "/tmp")]
    # in /tmp, what is bound there
    bound = {path.split("/")[2] for path in (os.path.abspath(BUILD), bench.directory) if path.startswith("/tmp/")}
    # the directories stay with us when the process is gone
    kept = [os.open(place, os.O_RDONLY) for place in places]
    inside = ["nsenter", "-t", str(daemon.pid), "-m", "-r"]
    reader = bench.steady(daemon, wrapper=inside)
    bench.program("victims", "status", daemon.socket, 50, wrapper=inside).result()
    assert daemon.mapping_count("memfd:camtap-pool") > 0
    reader.kill()
    daemon.kill()
    assert [set(os.listdir(place)) for place in kept] == [set(), bound]
    for place in kept:
        os.close(place)
    left = [name for name in os.listdir(os.path.dirname(daemon.socket)) if ".log" not in name]
    assert sorted(left) == ["socket", "socket.lock"]


def test_forked_client_dies(bench):
    """A client forks and dies; the child still has the socket, so it does not hang up by itself."""
    daemon = bench.daemon("--size", "320x180")
    steady = bench.steady(daemon)
    attacker = bench.program("hostile", "fork-hold", daemon.socket, 1).ready()
    with Connection(daemon.socket) as connection:
        wait_for(
            lambda: [c["name"] for c in connection.status()["streams"][0]["clients"]] == ["steady"],
            "the orphan is detached",
            interval=0.02,
        )
    assert attacker.result() == {"hung_up": True}
    report = steady.finish()
    assert report["missed"] == 0 and report["events"] == 0, report
