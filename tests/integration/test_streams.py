# SPDX-License-Identifier: MIT
"""Derived streams: made once for all who ask for the same, of the right pixels, as long as somebody reads."""

import json
import pathlib
import random
import signal
import time

import numpy
import pytest
from camtap_command import Background, camtap
from camtap_testing import (BYE, FORMAT, MODE_LOSSLESS, MODE_READ, PATIENCE, WELCOME, Connection,
                            Daemon, is_sanitized, wait_for)
from recordings import mjpeg

SIZE = (320, 180)
PICTURE = ["--pixel-format", "NV12", "--size", "320x180"]
# all that programs/stream-reader can make itself
STREAMS = ["GREY", "GREY:160x90", "NV12,crop=160x90+16+8", "YU12", "BGR3,crop=64x32+100+50"]


def camera(bench, *options, **more):
    return bench.daemon(*PICTURE, *options, **more)


def ask(bench, daemon, stream, *options, source="320x180", **more):
    """A program that reads a derived stream and looks at every pixel of it."""
    look = ["--source", source] if source else []
    return bench.program("stream-reader", "--socket", daemon.socket, "--stream", stream, *look,
                         *options, **more)


def has_read(reader, frames=1):
    wait_for(lambda: reader.ask()["frames"] >= frames, "frames", interval=0.02)
    return reader


def derived(daemon):
    """The derived streams that there are, by name."""
    streams = daemon.status()["streams"]
    assert streams[0]["stream"] == "native"
    assert len({(stream["stream"], stream["lossless"]) for stream in streams[1:]}) == len(streams) - 1
    return {stream["stream"]: stream for stream in streams[1:]}


def check(report, error=0):
    """What may never be."""
    assert report["error"] == error and report["wrong"] == 0, report
    assert report["order_errors"] == 0, report
    return report


class Belongings:
    """What a daemon has, and must have again in the end."""

    def __init__(self, daemon):
        self.daemon = daemon
        # connections that were closed just before are still on their way out
        self.before = min((self.now() for _ in range(10)), key=lambda now: now["fds"])

    def now(self):
        status = self.daemon.status()
        return {"streams": len(status["streams"]), "pinned": int(status["pinned_bytes"]),
                "threads": self.daemon.thread_count(), "fds": self.daemon.fd_count(),
                "pools": self.daemon.mapping_count("camtap-pool"),
                "guards": self.daemon.mapping_count("camtap-guard")}

    def check(self):
        try:
            wait_for(lambda: self.now() == self.before, "what there was before", timeout=10,
                     interval=0.05)
        except AssertionError:
            raise AssertionError(f"{self.now()} instead of {self.before}") from None


# ---- sharing ----


def test_equal_requests_share_one_stream(bench):
    daemon = camera(bench)
    native = bench.steady(daemon)
    belongings = Belongings(daemon)
    spellings = ["GREY:160x90,rate=30,crop=320x180+0+0", "gray8:160x90,crop=320x180+0+0,rate=30",
                 "GREY:160x90,rate=30/1,crop=320x180+0+0", "GREY:160x90,crop=320x180+0+0,rate=60/2"]
    readers = [ask(bench, daemon, text, "--name", f"reader {number}")
               for number, text in enumerate(spellings)]
    for reader in readers:
        has_read(reader)
    streams = derived(daemon)
    assert list(streams) == [spellings[0]]
    stream = streams[spellings[0]]
    assert sorted(client["name"] for client in stream["clients"]) == [
        f"reader {number}" for number in range(len(readers))]
    assert stream["from"] == "native" and not stream["lossless"]
    assert stream["format"]["fourcc"] == "GREY" and stream["format"]["width"] == 160
    assert stream["epoch"] == daemon.stream()["epoch"]
    assert daemon.thread_count() == belongings.before["threads"] + 1
    assert daemon.mapping_count("camtap-pool") == belongings.before["pools"] + 1
    for reader in readers[:-1]:
        check(reader.finish())
        assert len(derived(daemon)) == 1, "somebody reads it still"
    has_read(readers[-1], readers[-1].ask()["frames"] + 3)
    check(readers[-1].finish())
    belongings.check()
    assert native.finish()["error"] == 0


def test_different_requests_do_not_share(bench):
    daemon = camera(bench)
    belongings = Belongings(daemon)
    readers = [has_read(ask(bench, daemon, text)) for text in STREAMS]
    assert sorted(derived(daemon)) == sorted(STREAMS)
    for reader in readers:
        check(reader.finish())
    belongings.check()


def test_killed_clients(bench):
    """The stream ends as well when its clients are killed, while they hold frames."""
    daemon = camera(bench)
    bench.steady(daemon)
    belongings = Belongings(daemon)
    for _ in range(3):
        readers = [has_read(ask(bench, daemon, text, "--hold-ms", 50)) for text in STREAMS[:2] * 2]
        for reader in readers:
            reader.kill()
        belongings.check()


def test_a_reader_that_sleeps(bench):
    """SIGSTOP: the others of its stream go on."""
    daemon = camera(bench)
    asleep = has_read(ask(bench, daemon, "GREY:160x90", "--hold-ms", 20))
    awake = has_read(ask(bench, daemon, "GREY:160x90"))
    asleep.signal(signal.SIGSTOP)
    has_read(awake, awake.ask()["frames"] + 100)
    asleep.signal(signal.SIGCONT)
    has_read(asleep, asleep.ask()["frames"] + 3)
    check(asleep.finish())
    report = check(awake.finish())
    assert report["stale"] == 0


# ---- frames ----


def dumped(folder):
    """What camtap dump has written: (description, samples of the frame), by frame id."""
    frames = {}
    for file in sorted(pathlib.Path(folder).glob("*.json")):
        frame = json.loads(file.read_text())
        frames[int(frame["id"])] = frame, numpy.frombuffer(file.with_suffix(".raw").read_bytes(),
                                                           numpy.uint8)
    return frames


def test_the_same_frame_in_two_streams(bench, tmp_path):
    """Same id, epoch, times and sequence number; and the pixels are those of the native frame, converted by
    numpy."""
    daemon = camera(bench)
    width, height = SIZE
    streams = {"": None, "GREY": None, "YU12": None, "NV12,crop=160x90+16+8": None}
    writers = {}
    for number, text in enumerate(streams):
        writers[text] = Background(bench, "dump", "--socket", daemon.socket, "--count", 60, "--format",
                                   "raw", "--output", tmp_path / str(number), "--stream", text)
    for number, text in enumerate(streams):
        writers[text].done().check()
        streams[text] = dumped(tmp_path / str(number))
    native = streams.pop("")
    for text, frames in streams.items():
        common = sorted(frames.keys() & native.keys())
        assert len(common) >= 10, (text, sorted(frames), sorted(native))
        for number in common:
            (made, pixels), (origin, samples) = frames[number], native[number]
            for key in ("epoch", "sequence", "capture_time_ns", "capture_clock", "media_time_ns",
                        "field", "colorspace", "xfer_func", "flags"):
                assert made[key] == origin[key], (text, key)
            luma = samples[: width * height].reshape(height, width)
            chroma = samples[width * height :].reshape(height // 2, width // 2, 2)
            if text == "YU12":
                wanted = [luma, chroma[:, :, 0], chroma[:, :, 1]]
            elif text == "GREY":
                wanted = [luma]
            else:
                wanted = [luma[8:98, 16:176], chroma[4:49, 8:88]]
            assert numpy.array_equal(pixels, numpy.concatenate([part.ravel() for part in wanted])), text


@pytest.mark.parametrize("stream", STREAMS + ["XR24", "RGB3", "NV12:160x90"])
def test_pixels(bench, stream):
    daemon = camera(bench)
    report = check(ask(bench, daemon, stream, "--frames", 40).result())
    assert report["frames"] == 40


def test_the_check_of_pixels(bench):
    """It can fail: here the picture is another than it is told."""
    daemon = bench.daemon("--pixel-format", "YU12", "--size", "320x180")
    report = ask(bench, daemon, "GREY,crop=64x64+0+16", "--frames", 5, source="640x180").result()
    assert report["frames"] == 5
    report = ask(bench, daemon, "BGR3", "--frames", 5, source="640x180").result()
    assert report["wrong"] == 5


@pytest.mark.parametrize("rate", [10, 20, 25])
def test_rate(bench, rate):
    """Of 60 frames per second, in a burst or not; as a ratio of what was published meanwhile."""
    daemon = camera(bench)
    reader = has_read(ask(bench, daemon, f"GREY,rate={rate}", source=None), 2)

    def published():
        return [int(stream["counters"]["published"]) for stream in daemon.status()["streams"]]

    before = published()
    after = wait_for(lambda: (now := published())[0] > before[0] + 180 and now, "frames", interval=0.05)
    ratio = (after[1] - before[1]) / (after[0] - before[0])
    assert abs(ratio - rate / 60) < 0.15 * rate / 60, (before, after)
    report = check(reader.finish())
    assert report["missed"] <= report["frames"] / 10, "frames that the rate leaves out are not missed"


def test_mjpeg_is_decoded(bench, tmp_path):
    film = mjpeg(tmp_path / "film.mjpeg", frames=30)
    daemon = bench.daemon("--loop", source=f"file:{film}")
    report = check(ask(bench, daemon, "GREY:160x120", "--frames", 60, source=None).result())
    assert report["frames"] == 60 and report["epochs"] == 1
    assert derived(daemon) == {}


# ---- what cannot be made ----


BAD_GRAMMAR = ["nosuch", "GREY:100000x1", "GREY:0x0", "GREY,rate=0", "GREY,crop=9x9", "GREY,,", ":1x1",
               "GREY,rate=1,rate=2", "GREY:16385x1", "x" * 120]


@pytest.mark.parametrize("stream", BAD_GRAMMAR)
def test_bad_grammar(bench, stream):
    daemon = camera(bench)
    done = camtap("hz", "--socket", daemon.socket, "--stream", stream)
    done.check_line(1, r"FOURCC\[:WxH\]\[,rate=N\]\[,crop=WxH\+X\+Y\]")


WRONG = [("YUYV", "YUYV cannot be made of NV12 frames; what can is GREY, YU12, NV12, RGB3, BGR3, XR24"),
         ("MJPG", "what can is"), ("GREY,crop=64x64+300+0", "lies outside of the camera's 320x180"),
         ("NV12,crop=64x64+1+0", "must be multiples of 2x2"), ("XR24:16384x16384", "too large")]


@pytest.mark.parametrize("stream, why", WRONG)
@pytest.mark.parametrize("running", [False, True])
def test_what_cannot_be_made(bench, stream, why, running):
    """It is said at HELLO if the camera's format is known, else when it is."""
    daemon = camera(bench)
    reader = bench.steady(daemon) if running else None
    started = time.monotonic()
    for command in (["hz"], ["dump", "--output", bench.directory]):
        camtap(*command, "--socket", daemon.socket, "--stream", stream).check_line(1, why.replace("+", r"\+"))
    report = ask(bench, daemon, stream, source=None).result(1)
    assert report["error"] != 0 and why in report["text"] and report["frames"] == 0
    assert time.monotonic() - started < PATIENCE / 2
    with Connection(daemon.socket, MODE_READ, stream=stream) as connection:
        seen = [connection.receive() for _ in range(2 if not running else 1)]
        assert (seen[0][0] == WELCOME) == (not running)
    wait_for(lambda: derived(daemon) == {}, "the end of the stream")
    if running:
        assert reader.finish()["missed"] == 0


# ---- limits ----


def test_max_streams(bench):
    daemon = camera(bench, "--max-streams", "2")
    readers = [has_read(ask(bench, daemon, text)) for text in STREAMS[:2]]
    camtap("hz", "--socket", daemon.socket, "--stream", "YU12").check_line(1, "max_streams")
    has_read(ask(bench, daemon, STREAMS[0]))  # which there is
    check(readers.pop().finish())
    wait_for(lambda: camtap("hz", "--socket", daemon.socket, "--stream", "YU12", "--count", 2).status == 0,
             "room for another stream")


def test_another_stream_instead(bench):
    """Who leaves a stream for another is not refused because the first one is still ending."""
    daemon = camera(bench, "--max-streams", "1")
    belongings = Belongings(daemon)
    streams = ["GREY:2000x2000", "YU12"]
    for number in range(30):
        with Connection(daemon.socket, MODE_READ, stream=streams[number % 2]) as connection:
            for fd in connection.expect(FORMAT)[1]:
                pathlib.os.close(fd)
        wait_for(lambda: derived(daemon) == {}, "the client to be gone", interval=0)
        if number % 2 == 1:
            belongings.check()  # as many as may live may be ending, and no more


def test_no_streams(bench):
    daemon = camera(bench, "--max-streams", "0")
    camtap("hz", "--socket", daemon.socket, "--stream", "YU12").check_line(1, "max_streams")
    camtap("hz", "--socket", daemon.socket, "--count", 2).check()


MIB = 1 << 20


def test_memory_limit(bench):
    """A stream that would be over the limit is refused; who reads already notices nothing."""
    daemon = camera(bench, "--memory-limit", "64M")
    native = bench.steady(daemon)
    belongings = Belongings(daemon)
    large = "XR24:1600x1600"  # 18 slots of 10 MB
    camtap("hz", "--socket", daemon.socket, "--stream", large).check_line(1, "memory_limit")
    check(ask(bench, daemon, "GREY", "--frames", 10).result())
    belongings.check()
    assert native.finish()["missed"] == 0


def test_a_pinned_pool_counts(bench):
    """Until nobody keeps it, whether its stream is there or not."""
    daemon = camera(bench, "--memory-limit", "100M")
    native = bench.steady(daemon)
    belongings = Belongings(daemon)
    large = "GREY:2000x1600"  # 18 slots of 3 MB: two of these do not fit
    hoarder = Connection(daemon.socket, MODE_READ, name="hoarder", stream=large)
    _, fds = hoarder.expect(FORMAT)
    hoarder.close()  # but not what it was given
    wait_for(lambda: derived(daemon) == {}, "the end of the stream")
    pinned = wait_for(lambda: int(daemon.status()["pinned_bytes"]), "the pool to be pinned")
    assert pinned > 48 * 1000 * 1000
    camtap("hz", "--socket", daemon.socket, "--stream", large).check_line(1, "memory_limit")
    pathlib.os.close(fds[0])
    wait_for(lambda: int(daemon.status()["pinned_bytes"]) == 0, "nothing to be pinned")
    pathlib.os.close(fds[1])
    camtap("hz", "--socket", daemon.socket, "--stream", large, "--count", 2).check()
    belongings.check()
    assert native.finish()["missed"] == 0


# ---- recordings ----


NUMBERS = 150


def write_numbers(path, count=NUMBERS, size=(64, 48), rate="100:1"):
    """A grey Y4M whose frames are numbers."""
    with open(path, "wb") as file:
        file.write(f"YUV4MPEG2 W{size[0]} H{size[1]} F{rate} Cmono\n".encode())
        for number in range(count):
            file.write(b"FRAME\n" + bytes([number % 256]) * (size[0] * size[1]))
    return path


def check_numbers(folder, wanted):
    frames = dumped(folder)
    assert [int(frames[number][1][0]) for number in sorted(frames)] == wanted
    assert all((pixels == pixels[0]).all() for _, pixels in frames.values())


@pytest.mark.parametrize("loaded", [False, True])
def test_lossless_to_the_last_frame(bench, tmp_path, loaded):
    """As fast as it goes: every frame of the recording, the last ones before its end is told; also when
    the conversion is slow."""
    path = write_numbers(tmp_path / "numbers.y4m")
    daemon = bench.daemon("--rate", "0", "--slots", "8", source=f"file:{path}")
    stream = "XR24:1600x1200" if loaded else "GREY"
    for attempt in range(2 if loaded else 5):
        folder = tmp_path / str(attempt)
        done = camtap("dump", "--socket", daemon.socket, "--lossless", "--format", "raw", "--output",
                      folder, "--stream", stream).check()
        assert f"{NUMBERS} frames" in done.output.decode() + done.error
        if not loaded:
            check_numbers(folder, [number % 256 for number in range(NUMBERS)])
        else:
            assert sorted(dumped_ids(folder)) == list(range(1, NUMBERS + 1))


def dumped_ids(folder):
    return [int(json.loads(file.read_text())["id"]) for file in pathlib.Path(folder).glob("*.json")]


def test_several_lossless_readers(bench, tmp_path):
    """Of two derived streams and the native one: all get all. The source waits for all of them (wait_readers
    counts the readers of derived streams, too)."""
    path = write_numbers(tmp_path / "numbers.y4m")
    daemon = bench.daemon("--rate", "0", "--slots", "8", "--wait-readers", "5", source=f"file:{path}")
    cropped = "GREY,crop=32x32+16+8"
    streams = ["GREY", "GREY", cropped, cropped, ""]
    writers = [Background(bench, "dump", "--socket", daemon.socket, "--lossless", "--format", "raw",
                          "--output", tmp_path / str(number), "--stream", text)
               for number, text in enumerate(streams)]
    for number, writer in enumerate(writers):
        writer.done().check()
        check_numbers(tmp_path / str(number), list(range(NUMBERS)))


def test_the_source_waits_for_readers_of_derived_streams(bench, tmp_path):
    """A converter alone is nobody: without its client the recording does not begin, and the first frame
    that a client gets is the first there is."""
    path = write_numbers(tmp_path / "numbers.y4m")
    daemon = bench.daemon("--rate", "0", "--wait-readers", "2", source=f"file:{path}")
    first = ask(bench, daemon, "GREY:32x24", "--ended", "--lossless", source=None)
    wait_for(lambda: derived(daemon), "the stream")
    silent = bench.connection(daemon, MODE_READ, "silent", True, "GREY:16x12")
    silent.expect(FORMAT)  # and never says READY
    time.sleep(0.2)  # (that nothing happens cannot be waited for)
    assert first.ask()["frames"] == 0
    second = ask(bench, daemon, "YU12", "--ended", "--lossless", source=None)
    for reader in (first, second):
        report = check(reader.result())
        assert (report["frames"], report["first"], report["last"]) == (NUMBERS, 1, NUMBERS), report


def test_a_lossless_reader_that_comes_late(bench, tmp_path):
    """It begins where the recording is, far behind its beginning, and gets each frame once."""
    path = write_numbers(tmp_path / "numbers.y4m", count=400)
    daemon = bench.daemon("--slots", "8", source=f"file:{path}")
    bench.steady(daemon)
    wait_for(lambda: daemon.counters()["published"] > 150, "frames", interval=0.02)
    late = ask(bench, daemon, "GREY", "--ended", "--lossless", source=None)
    has_read(late)
    skipped = [int(stream["skipped"]) for stream in derived(daemon).values()]
    report = check(late.result())
    assert report["first"] > 100 and report["last"] == 400
    assert report["frames"] == 400 - report["first"] + 1
    assert skipped == [0]


@pytest.mark.parametrize("options", [(), ("--lossless",)])
def test_the_end_is_told(bench, tmp_path, options):
    """Also if the converter is still at the last frame when the recording ends, and nothing happens
    afterwards that would make the daemon look again."""
    path = write_numbers(tmp_path / "numbers.y4m", count=10, rate="200:1")
    daemon = bench.daemon(source=f"file:{path}")
    for _ in range(5):
        report = check(ask(bench, daemon, "XR24:2000x1500", "--ended", *options, source=None).result())
        assert report["ended"] == 1 and report["frames"] > 0
        if options:
            assert report["frames"] == 10


def test_a_recording_that_loops(bench, tmp_path):
    path = write_numbers(tmp_path / "numbers.y4m", count=20)
    daemon = bench.daemon("--rate", "0", "--loop", source=f"file:{path}")
    done = camtap("dump", "--socket", daemon.socket, "--lossless", "--format", "raw", "--output",
                  tmp_path / "out", "--stream", "GREY", "--count", 100).check()
    assert "missed 0" in done.output.decode()
    check_numbers(tmp_path / "out", [number % 20 for number in range(100)])


# ---- cameras that go and come ----


def test_a_camera_that_comes_back(bench, tmp_path):
    """Of another size, then of one of which the stream cannot be made."""
    path = tmp_path / "camera.y4m"
    write_numbers(path, count=50)
    daemon = bench.daemon(source=f"exec:cat '{path}'; exit 1")
    daemon.expect_log("exec|status|ended|camtapd")
    reader = has_read(ask(bench, daemon, "GREY:16x16,crop=48x32+0+0", source=None))
    epochs = reader.ask()["epochs"]
    wait_for(lambda: reader.ask()["epochs"] > epochs, "another epoch", interval=0.05)
    write_numbers(path.with_suffix(".new"), count=50, size=(80, 60))
    path.with_suffix(".new").rename(path)
    epochs = reader.ask()["epochs"] + 1  # one may have begun with the old file
    wait_for(lambda: reader.ask()["epochs"] > epochs, "another epoch", interval=0.05)
    (stream,) = derived(daemon).values()
    assert stream["format"] is None or stream["format"]["width"] == 16
    write_numbers(path.with_suffix(".new"), count=50, size=(32, 32))
    path.with_suffix(".new").rename(path)
    report = check(reader.result(1), error=22)
    assert "lies outside of the camera's 32x32" in report["text"]
    assert report["epochs"] >= 3
    wait_for(lambda: derived(daemon) == {}, "the end of the stream")


def test_a_daemon_that_comes_back(bench):
    """Readers of derived streams attach again, and go on."""
    directory = pathlib.Path(bench.directory) / "d"
    directory.mkdir()

    def start():
        bench.daemons.append(Daemon(*PICTURE, directory=str(directory)))
        return bench.daemons[-1].wait_until_it_listens()

    daemon = start()
    readers = [has_read(ask(bench, daemon, text)) for text in STREAMS]
    for attempt in range(3):
        daemon.signal(signal.SIGKILL if attempt % 2 == 0 else signal.SIGTERM)
        daemon.wait()
        daemon = start()
        for reader in readers:
            wait_for(lambda: reader.ask()["epochs"] == attempt + 2, "the next epoch", interval=0.02)
            has_read(reader, reader.ask()["frames"] + 5)
    for reader in readers:
        check(reader.finish())


def test_sigterm_while_streams_run(bench):
    for _ in range(5):
        daemon = camera(bench)
        readers = [ask(bench, daemon, text, source=None) for text in STREAMS + ["XR24:4000x3000"]]
        has_read(readers[random.randrange(len(STREAMS))])
        daemon.stop()
        for reader in readers:
            reader.kill()


# ---- all at once ----


def come_and_go(bench, seconds):
    """16 clients, 5 streams, at random."""
    chance = random.Random(4)
    daemon = camera(bench, "--rate", "10" if is_sanitized() else "30")
    native = bench.steady(daemon, "--verify")
    belongings = Belongings(daemon)
    readers, frames, seen = [], 0, set()
    deadline = time.monotonic() + seconds
    most = 0
    while time.monotonic() < deadline:
        if len(readers) == 16 or (readers and chance.random() < 0.4):
            reader = readers.pop(chance.randrange(len(readers)))
            if chance.random() < 0.3:
                reader.kill()
            else:
                frames += check(reader.finish())["frames"]
                reader.kill()  # closes its files
        else:
            readers.append(ask(bench, daemon, chance.choice(STREAMS)))
        streams = derived(daemon)
        seen.add(len(streams))
        most = max(most, sum(len(stream["clients"]) for stream in streams.values()))
        time.sleep(chance.random() * 0.1)
    for reader in readers:
        frames += check(reader.finish())["frames"]
    belongings.check()
    print(frames, "frames; so many streams:", seen, "most clients:", most)
    assert frames > 10 * seconds and max(seen) == len(STREAMS) and len(seen) >= 4 and most >= 8
    report = native.finish()
    assert report["torn"] == 0 and report["order_errors"] == 0 and report["events"] == 0


def test_come_and_go(bench):
    come_and_go(bench, 15)


@pytest.mark.long
def test_come_and_go_for_a_minute(bench):
    come_and_go(bench, 60)
