# SPDX-License-Identifier: MIT
"""Clients that mean harm, and ask for derived streams: the daemon stands, the native stream and those who
read another derived one do not notice."""

import fcntl
import mmap
import os
import random
import signal
import struct
import threading
import time

import pytest
from camtap_command import Background
from camtap_testing import (BYE, FORMAT, FRAME, MODE_LOSSLESS, MODE_READ, READY, REFUSED, WELCOME, Connection,
                            is_sanitized, wait_for)
from recordings import mjpeg
from test_hostile import LIMITS, ROUNDS, Pair
from test_streams import Belongings, ask, camera, check, derived, has_read

# requests that can be made, and that cannot, cheap and dear
REQUESTS = ["GREY", "GREY:160x90", "YU12", "BGR3", "RGB3:64x64", "NV12,rate=7", "XR24:1920x1080",
            "GREY:1x1", "GREY:16384x16384", "XR24:16384x16384", "NV12:16383x3", "GREY:1x16384",
            "GREY,crop=1x1+319+179", "YU12,crop=2x2+318+178:1x1", "GREY,crop=1x1+0+0", "MJPG", "nonsense",
            "GREY,rate=0.001", "GREY,rate=1000000", "BGR3:33x17,crop=33x17+2+2", "\x00", "%n%s", "x" * 127]


F_SEAL_FUTURE_WRITE = 0x0010  # linux/fcntl.h


def attach(daemon, stream, mode=MODE_READ):
    return Connection(daemon.socket, mode, "attacker", True, stream)


def map_guard(fds, payload):
    """Maps a guard, seals it as READY wants it, and returns the words."""
    size = struct.unpack_from("=I", payload, 16)[0]
    words = mmap.mmap(fds[1], size, mmap.MAP_SHARED)
    fcntl.fcntl(fds[1], fcntl.F_ADD_SEALS, F_SEAL_FUTURE_WRITE | fcntl.F_SEAL_SEAL)
    return words


def get_ready(connection):
    """As far as READY: the words of the guard, and the pool's slot count."""
    payload, fds = connection.expect(FORMAT)
    words = map_guard(fds, payload)
    for fd in fds:
        os.close(fd)
    connection.send(READY, payload[:8])
    return words


def vanish_at_random(daemon, chance):
    """One client that comes for a stream and goes at some step."""
    try:
        connection = attach(daemon, chance.choice(REQUESTS), chance.choice([MODE_READ] * 5 + [2]))
    except OSError:
        return
    with connection:
        connection.socket.settimeout(2)
        step = chance.randrange(5)
        try:
            if step == 0:
                return
            kind, payload, fds = connection.receive()
            while kind not in (None, REFUSED, BYE) and step > 1:
                if kind == FORMAT:
                    if step == 3:
                        connection.send(READY, payload[:8])  # whose guard is not sealed
                    elif step == 4:
                        map_guard(fds, payload).close()
                        connection.send(READY, payload[:8])
                    break
                for fd in fds:
                    os.close(fd)
                kind, payload, fds = connection.receive()
            for fd in fds:
                os.close(fd)
        except OSError:
            return


def flood(daemon, seconds, seed, vanish=vanish_at_random):
    chance, count = random.Random(seed), 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        vanish(daemon, chance)
        count += 1
    return count


def attack_undisturbed(bench, attack, *options, expect="."):
    """The whole test: attack(daemon), beside a daemon that nobody attacks. Meanwhile new clients ask both."""
    for _ in range(ROUNDS):
        pair = Pair(bench, *options)
        pair.target.expect_log(expect)
        belongings = Belongings(pair.target)
        over = threading.Event()

        def ask_again_and_again():
            while not over.wait(0.02):
                pair.ask_both()

        asking = threading.Thread(target=ask_again_and_again)
        asking.start()
        try:
            attack(pair.target)
        finally:
            over.set()
            asking.join()
        belongings.check()
        calm = pair.undisturbed(answer_within=1)
        pair.stop()
        if calm or is_sanitized():
            return
    raise AssertionError("the daemon was disturbed, the one beside it was not")


def test_flood_of_requests(bench):
    """They vanish at every step: before READY, while the converter is made, while it ends."""
    attack_undisturbed(bench, lambda daemon: print(flood(daemon, 4, 1), "clients"), expect="sealed|messages")


def test_flood_of_slow_conversions(bench):
    """Whoever vanishes in the middle of a long conversion."""

    def vanish(daemon, chance):
        with attach(daemon, chance.choice(["GREY:16384x8192", "XR24:4000x4000", "RGB3:5000x3000"])) as it:
            it.socket.settimeout(10)
            try:
                if chance.random() < 0.5:
                    for fd in it.expect(FORMAT)[1]:
                        os.close(fd)
                else:
                    it.expect(WELCOME)
                time.sleep(chance.random() * 0.1)
            except (OSError, AssertionError):
                pass

    attack_undisturbed(bench, lambda daemon: print(flood(daemon, 4, 2, vanish), "clients"))


def latency_us(pair):
    """From publishing to the reader, of both daemons at once: (target, control), half of the frames' and
    nearly all frames'."""
    asked = [Background(pair.bench, "hz", "--socket", daemon.socket, "--count", 200, "--json")
             for daemon in (pair.target, pair.control)]
    return [[command["latency_us"][key] for key in ("p50", "p99")]
            for command in (command.done().check().json() for command in asked)]


def test_a_slow_stream_hurts_nobody(bench):
    """A conversion that takes longer than a frame lasts, one whose only reader is stopped, and one whose
    reader keeps all it has: the native stream's latency, beat and misses are those of the daemon beside, and
    another derived stream gets its frames. Nobody is called a slow client for it."""
    disturbed = []
    for _ in range(ROUNDS):
        pair = Pair(bench)
        streams = ["BGR3:9000x7000", "YU12", "BGR3"]
        slow = [ask(bench, pair.target, text, source=None) for text in streams]
        quick = has_read(ask(bench, pair.target, "GREY:160x90"))
        for reader in slow:
            has_read(reader)
        slow[1].signal(signal.SIGSTOP)
        hoarder = bench.program("stream-reader", "--socket", pair.target.socket, "--stream", "BGR3",
                                "--hold-ms", "100000")
        (median, most), (calm_median, calm_most) = latency_us(pair)
        native = pair.target.stream()
        assert native["counters"]["client_slow"] == "0" and native["counters"]["revoked"] == "0"
        large = derived(pair.target)[streams[0]]
        assert int(large["skipped"]) > int(large["counters"]["published"]) / 2 > 0, "it was slow"
        slow[1].signal(signal.SIGCONT)
        hoarder.kill()
        for reader in [*slow, quick]:
            report = check(reader.finish())
        assert report["frames"] > 150  # the quick one's
        calm = pair.undisturbed(answer_within=1)
        pair.stop()
        if is_sanitized() or (calm and median < 3 * calm_median + 300 and most < 3 * calm_most + 3000):
            return
        disturbed.append((median, most, calm_median, calm_most))
    raise AssertionError(f"the native stream was disturbed, that of the daemon beside was not: {disturbed}")


def test_64_clients_at_once(bench):
    daemon = camera(bench, *LIMITS)
    native = bench.steady(daemon)
    belongings = Belongings(daemon)
    connections = [attach(daemon, "GREY:160x90") for _ in range(64)]
    for connection in connections:
        get_ready(connection).close()
    (stream,) = derived(daemon).values()
    assert len(stream["clients"]) == 64
    for connection in connections:
        connection.close()
    belongings.check()
    assert native.finish()["events"] == 0


SCRIBBLE = r"its guard holds what no client of the protocol writes|holds more than the \d+ frames"


@pytest.mark.limit(20)
@pytest.mark.parametrize("stream", ["GREY:160x90", "BGR3"])
def test_scribble(bench, stream):
    """A derived reader's guard full of nonsense: it is thrown out, the others of its stream go on."""
    daemon = camera(bench)
    daemon.expect_log(SCRIBBLE)
    honest = has_read(ask(bench, daemon, stream))
    native = bench.steady(daemon)
    for value in (0xFF, 0x01, 0x02):
        with attach(daemon, stream) as attacker:
            words = get_ready(attacker)
            attacker.expect(FRAME)  # it is linked, its words are set up
            words[:] = bytes([value]) * len(words)
            payload, _ = attacker.expect(BYE)
            assert struct.unpack_from("=I", payload)[0] in (2, 7)  # PROTOCOL, OVERHOLD
            words.close()
    has_read(honest, honest.ask()["frames"] + 30)
    check(honest.finish())
    assert native.finish()["missed"] == 0


def test_all_leases_held(bench):
    """By 6 readers of one stream, who sleep with all that they may hold."""
    daemon = camera(bench)
    native = bench.steady(daemon)
    greedy = [bench.program("stream-reader", "--socket", daemon.socket, "--stream", "GREY", "--hold-ms",
                            "100000") for _ in range(6)]
    wait_for(lambda: [client["leases"] for stream in derived(daemon).values()
                      for client in stream["clients"]].count(1) == 6, "the leases")
    honest = has_read(ask(bench, daemon, "GREY"), 60)
    check(honest.finish())
    for reader in greedy:
        reader.kill()
    assert native.finish()["missed"] == 0


def test_a_lossless_reader_that_sleeps(bench, tmp_path):
    """It holds up the recording, as it may; when it is killed, all goes on."""
    path = tmp_path / "numbers.y4m"
    with open(path, "wb") as file:
        file.write(b"YUV4MPEG2 W64 H48 F100:1 Cmono\n")
        for number in range(300):
            file.write(b"FRAME\n" + bytes([number % 256]) * (64 * 48))
    daemon = bench.daemon("--rate", "0", "--slots", "8", "--wait-readers", "2", source=f"file:{path}")
    asleep = attach(daemon, "GREY:32x24", MODE_LOSSLESS)
    reader = ask(bench, daemon, "GREY:32x24", "--ended", "--lossless", source=None)
    get_ready(asleep)
    wait_for(lambda: reader.ask()["frames"] > 3, "frames")
    assert reader.ask()["frames"] < 300
    assert derived(daemon), "it answers"
    asleep.close()
    assert check(reader.result())["frames"] == 300


# each of which may be made of another, and keep that alive
CHAIN = ["GREY:160x120", "GREY:80x60", "GREY:40x30", "NV12:160x120", "YU12:80x60", "BGR3:160x120", "RGB3:80x60"]


@pytest.mark.parametrize("command", ["cat '{0}' '{0}' '{0}'; exit 1", "while cat '{0}'; do :; done"])
def test_chains_that_come_and_go(bench, tmp_path, command):
    """Streams that are made of streams, of a camera that fails all the time, and of one that does not: they
    go in every order, also when the daemon is told to stop in the middle."""
    film = mjpeg(tmp_path / "film.mjpeg", frames=20)
    daemon = bench.daemon("--rate", "200", *LIMITS, source=f"exec:{command.format(film)}")
    daemon.expect_log(".")
    bench.steady(daemon)

    def vanish(daemon, chance):
        try:
            with attach(daemon, chance.choice(CHAIN), chance.choice([MODE_READ, MODE_LOSSLESS])) as it:
                it.socket.settimeout(2)
                if chance.random() < 0.8:
                    get_ready(it).close()
                    time.sleep(chance.random() * 0.03)
        except (OSError, AssertionError):
            pass  # the daemon stops, or the stream could not be made

    def run(seconds, seed):
        threads = [threading.Thread(target=flood, args=(daemon, seconds, seed + number, vanish))
                   for number in range(4)]
        for thread in threads:
            thread.start()
        return threads

    for thread in run(3, 1):
        thread.join()
    wait_for(lambda: derived(daemon) == {}, "the end of the streams", timeout=10)
    threads = run(1.5, 100)
    seen = set()
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        seen |= {stream["from"] for stream in derived(daemon).values()}
    assert len(seen) > 1, "none was made of another"
    daemon.signal(signal.SIGTERM)
    assert daemon.wait(20) == 0, daemon.log()
    daemon.check_sanitizer()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_among_clients(bench, number):
    """The daemon is told to stop while converters run and clients come and go."""
    for attempt in range(4):
        daemon = camera(bench, *LIMITS)
        daemon.expect_log("sealed|messages")
        threads = [threading.Thread(target=flood, args=(daemon, 1.5, 10 * attempt + each))
                   for each in range(3)]
        readers = [ask(bench, daemon, text, source=None) for text in ("GREY", "YU12:64x64", "XR24:4000x3000")]
        for thread in threads:
            thread.start()
        has_read(readers[0])
        daemon.signal(number)
        assert daemon.wait(20) == 0, daemon.log()
        daemon.check_sanitizer()
        for thread in threads:
            thread.join()
        for reader in readers:
            reader.kill()


def test_kill_9_in_the_middle(bench):
    """Readers of streams, killed at random moments."""
    chance = random.Random(5)
    daemon = camera(bench)
    native = bench.steady(daemon, "--verify")
    belongings = Belongings(daemon)
    for _ in range(25):
        readers = [ask(bench, daemon, chance.choice(REQUESTS[:6])) for _ in range(3)]
        time.sleep(chance.random() * 0.15)
        for reader in readers:
            reader.kill()
    belongings.check()
    report = native.finish()
    assert report["torn"] == 0 and report["events"] == 0


def test_the_pool_ends_as_the_last_client_leaves(bench, tmp_path):
    """The origin's pool and the stream's last reader go at the same moment, in every order."""
    path = tmp_path / "camera.y4m"
    with open(path, "wb") as file:
        file.write(b"YUV4MPEG2 W64 H48 F1000:1 Cmono\n" + (b"FRAME\n" + bytes(64 * 48)) * 5)
    daemon = bench.daemon("--rate", "0", source=f"exec:cat '{path}'; exit 1")
    daemon.expect_log(".")
    native = bench.steady(daemon)
    chance = random.Random(6)
    for _ in range(60):
        with attach(daemon, chance.choice(["GREY", "GREY:32x24"])) as connection:
            for fd in connection.expect(FORMAT)[1]:
                os.close(fd)
            time.sleep(chance.random() * 0.02)
    wait_for(lambda: derived(daemon) == {}, "the end of the streams")
    native.kill()
