# SPDX-License-Identifier: MIT
"""The samples that analyse, on real pictures: what they find is what is there.

The photograph is astronaut.png of python3-skimage (see recordings.py), the footage vtest.avi of opencv-doc:
a fixed camera over a lawn and a path, 768x576, 10 frames per second.
"""

import json
import os
import signal
import zlib

import numpy
import pytest
import recordings
from camtap_command import Background
from camtap_testing import PATIENCE, Program, alarm, build_path, wait_for

FOOTAGE = "/usr/share/doc/opencv-doc/examples/data/vtest.avi"
RATE = 10

# The face in the photograph, measured by eye on an enlargement of it: from ear to ear, and from the fringe
# to the chin. x, y, width, height in pixels.
FACE = (171, 72, 108, 106)

# When somebody is on the part of the lawn that is cut out of the footage, seen by eye: first and last
# picture (from 0 on) with at least a foot of theirs.
LAWN = "crop=320:240:0:336"
VISITS = [(532, 606), (658, 720)]


class Sample(Program):
    """One of samples/."""

    def __init__(self, bench, name, daemon, *arguments, **more):
        super().__init__([build_path(f"samples/{name}"), *map(str, arguments)], bench.directory,
                         wrapper=("env", f"CAMTAP_SOCKET={daemon.socket}"), **more)
        self.name = name
        bench.programs.append(self)

    def next(self):
        return json.loads(self.line())

    def rest(self):
        """What it prints until its end, which must be a good one."""
        with alarm(PATIENCE, f"{self.name} has not ended"):
            lines = self.popen.stdout.read().decode().splitlines()
        assert self.wait() == 0, self.log()
        assert self.log() == ""
        return [json.loads(line) for line in lines]


def play(bench, source, *options, **more):
    return bench.daemon(*map(str, options), source=source, **more)


def ids(results):
    return [int(result["id"]) for result in results]


def overlap(a, b):
    """Intersection over union of two boxes."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    return both / (a[2] * a[3] + b[2] * b[3] - both)


def read_pgm(path):
    header, pixels = path.read_bytes().split(b"\n255\n", 1)
    width, height = map(int, header.split()[1:])
    return numpy.frombuffer(pixels, numpy.uint8).reshape(height, width)


# ---- all on one camera ----

PORTRAIT_FRAMES = 60


def shift(frame_id):
    """How far the portrait has moved to the left and upwards."""
    return frame_id - 1, (frame_id - 1) // 2


@pytest.fixture(scope="module")
def portrait(tmp_path_factory):
    """A recorded MJPEG camera, 448x448: the photograph moves slowly."""
    folder = tmp_path_factory.mktemp("portrait")
    recordings.ffmpeg("-loop", 1, "-framerate", RATE, "-i", recordings.PHOTOGRAPH, "-frames:v",
                      PORTRAIT_FRAMES, "-vf", "crop=448:448:x=n:y=floor(n/2):exact=1,format=yuvj422p",
                      "-c:v", "mjpeg", "-q:v", 4, "-f", "mjpeg", folder / "portrait.mjpeg")
    return recordings.avi(folder / "portrait.avi", folder / "portrait.mjpeg", rate=RATE)


def test_four_programs_on_one_camera(bench, portrait, tmp_path):
    """The face is found where it is, while motion_watch, producer_consumer and camtap dump look at the same
    camera; each of them gets what it came for."""
    pictures = recordings.split(portrait, tmp_path / "split")
    annotated, dumped = tmp_path / "annotated", tmp_path / "dumped"
    annotated.mkdir()
    daemon = play(bench, f"file:{portrait}", "--name", "portrait", "--slots", 64, "--wait-readers", 5)
    faces = Sample(bench, "face_detect", daemon, "--annotate", annotated)
    motion = Sample(bench, "motion_watch", daemon)
    workers = Sample(bench, "producer_consumer", daemon, "--workers", 2)
    dump = Background(bench, "dump", "--socket", daemon.socket, "--output", dumped)

    handled = workers.rest()
    assert ids(handled) == list(range(1, PORTRAIT_FRAMES + 1))
    assert [result["adler32"] for result in handled] == [
        f"{zlib.adler32(picture):08x}" for picture in pictures]
    assert len({result["worker"] for result in handled}) == 2
    assert "missed 0" in dump.done().check().output.decode()
    files = sorted(dumped.iterdir(), key=lambda path: int(path.stem.rsplit("-", 1)[1]))
    assert [path.read_bytes() for path in files] == pictures

    (event,) = motion.rest()
    assert event["camera"] == "portrait" and event["epoch"] == handled[0]["epoch"]
    assert int(event["first_id"]) < PORTRAIT_FRAMES // 4
    assert int(event["last_id"]) == PORTRAIT_FRAMES

    found = faces.rest()
    assert len(found) >= 3  # it takes its time, and reads the newest
    assert ids(found) == sorted(set(ids(found))), "one face per frame"
    for face in found:
        left, up = shift(int(face["id"]))
        box = (face["x"], face["y"], face["width"], face["height"])
        assert overlap(box, (FACE[0] - left, FACE[1] - up, *FACE[2:])) >= 0.5, face
        assert face["epoch"] == handled[0]["epoch"]
    assert {path.name for path in annotated.iterdir()} == {
        f"{face['epoch']}-{face['id']}.png" for face in found}
    check_annotation(annotated / f"{found[-1]['epoch']}-{found[-1]['id']}.png", found[-1])


def check_annotation(path, face):
    """A yellow box where the face is, on a grey picture."""
    picture = numpy.frombuffer(recordings.decode(path), numpy.uint8).reshape(448, 448, 3)
    coloured = numpy.argwhere(picture[..., 0] != picture[..., 2])
    (top, left), (bottom, right) = coloured.min(axis=0), coloured.max(axis=0)
    box = (left, top, right - left + 1, bottom - top + 1)
    assert overlap(box, (face["x"], face["y"], face["width"], face["height"])) > 0.9


# ---- motion_watch ----


@pytest.fixture(scope="module")
def lawn(tmp_path_factory):
    path = tmp_path_factory.mktemp("lawn") / "lawn.avi"
    recordings.ffmpeg("-i", FOOTAGE, "-fps_mode", "passthrough", "-vf", f"{LAWN},format=yuvj422p",
                      "-c:v", "mjpeg", "-q:v", 4, "-f", "avi", path)
    return path


def test_motion_in_real_footage(bench, lawn, tmp_path):
    """Both visits to the lawn, to three pictures exactly, and nothing else in 80 seconds."""
    daemon = play(bench, f"file:{lawn}", "--rate", 0, "--lossless")
    events = Sample(bench, "motion_watch", daemon, "--pictures", tmp_path).rest()
    assert len(events) == len(VISITS)
    for event, (first, last) in zip(events, VISITS):
        assert abs(int(event["first_id"]) - 1 - first) <= 3
        assert abs(int(event["last_id"]) - 1 - last) <= 3
        assert int(event["first_id"]) <= int(event["most_id"]) <= int(event["last_id"])
        assert int(event["first_realtime_ns"]) <= int(event["last_realtime_ns"])
        picture = read_pgm(tmp_path / event["picture"])
        command = f"select=eq(n\\,{int(event['most_id']) - 1}),format=gray"
        wanted = recordings.ffmpeg("-i", lawn, "-vf", command, "-frames:v", 1, "-f", "rawvideo", "-")
        difference = picture.astype(int) - numpy.frombuffer(wanted, numpy.uint8).reshape(240, 320)
        assert abs(difference).max() <= 2
    assert len(list(tmp_path.iterdir())) == len(VISITS)


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """Nothing moves for half a minute: sensor noise of 10 of 255 (standard deviation), and light that fades
    by 40 meanwhile."""
    path = tmp_path_factory.mktemp("still") / "still.y4m"
    scene = numpy.frombuffer(recordings.ffmpeg(
        "-i", recordings.PHOTOGRAPH, "-vf", "scale=320:240,format=gray", "-f", "rawvideo", "-"), numpy.uint8)
    random = numpy.random.default_rng(4)
    with open(path, "wb") as file:
        file.write(b"YUV4MPEG2 W320 H240 F10:1 Ip A1:1 Cmono\n")
        for number in range(30 * RATE):
            frame = scene - 40 * number / (30 * RATE) + random.normal(0, 10, scene.size)
            file.write(b"FRAME\n" + frame.round().clip(0, 255).astype(numpy.uint8).tobytes())
    return path


@pytest.mark.parametrize("options, quiet", [
    ([], True),
    (["--follow", 0], False),  # the light alone is seen then,
    (["--threshold", 2], False),  # and here the noise
])
def test_no_motion_in_noise_and_slow_light(bench, still, options, quiet):
    daemon = play(bench, f"file:{still}", "--rate", 0, "--lossless")
    events = Sample(bench, "motion_watch", daemon, *options).rest()
    assert (events == []) == quiet


# ---- producer_consumer ----

FILM_FRAMES = 160


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return recordings.mjpeg(tmp_path_factory.mktemp("film") / "film.mjpeg", frames=FILM_FRAMES)


@pytest.mark.parametrize("options, arguments", [
    (["--rate", 0], ["--lossless"]),
    (["--rate", 40, "--slots", 64], []),
])
def test_workers_are_killed(bench, film, tmp_path, options, arguments):
    """No frame is lost or repeated when workers are killed, apart from those that they held, which are
    named; results come in the order of the frames."""
    pictures = recordings.split(film, tmp_path / "split")
    daemon = play(bench, f"file:{film}", "--wait-readers", 4, *options)
    sample = Sample(bench, "producer_consumer", daemon, "--workers", 4, "--load", 90, *arguments)
    results, killed = [], []
    for number in range(1, FILM_FRAMES // 2):
        results.append(sample.next())
        worker = results[max(number - 3, 0)]["worker"]  # busy with another frame by now, mostly
        if number % 10 == 0 and worker not in killed:
            os.kill(worker, signal.SIGKILL)
            killed.append(worker)
    results += sample.rest()

    assert ids(results) == list(range(1, FILM_FRAMES + 1))
    assert {result["missed"] for result in results} == {0}
    lost = [result for result in results if "lost" in result]
    assert {result["lost"] for result in lost} == {"its worker was killed"}  # at least one
    assert len(killed) >= 4
    for result in lost:
        assert result["worker"] in killed
    assert len({result["worker"] for result in lost}) == len(lost), "no worker held two"
    for result, picture in zip(results, pictures):
        if result not in lost:
            assert result["adler32"] == f"{zlib.adler32(picture):08x}"
    assert len({result["worker"] for result in results}) >= 4 + len(killed) // 2  # others took over


def test_a_worker_is_stopped(bench):
    """Results wait for it, questions wait when there are too many, and all goes on when it does."""
    daemon = play(bench, "pattern:", "--size", "64x48", "--rate", 500, "--slots", 64)
    sample = Sample(bench, "producer_consumer", daemon)
    results = [sample.next()]
    for _ in range(4):
        worker = results[-1]["worker"]
        os.kill(worker, signal.SIGSTOP)
        wanted = daemon.counters()["published"] + 400
        wait_for(lambda: daemon.counters()["published"] >= wanted, "frames meanwhile")
        os.kill(worker, signal.SIGCONT)
        results += [sample.next() for _ in range(500)]
    for before, result in zip(results, results[1:]):
        assert int(result["id"]) == int(before["id"]) + 1 + result["missed"]
        assert "lost" not in result


def test_workers_that_cannot_begin(bench):
    """A camera that is not there: an error, not workers without end."""
    daemon = play(bench, "pattern:")
    sample = Sample(bench, "producer_consumer", daemon, "nobody")
    assert sample.wait() == 1
    assert sample.log().count("\n") == 4
    assert sample.log().startswith("producer_consumer: no camera")


# ---- brightness ----


def test_brightness_is_the_mean(bench, tmp_path):
    """Of the very pixels, to the last digit printed."""
    random = numpy.random.default_rng(5)
    frames = [random.integers(0, top, (240, 320), numpy.uint8) for top in range(2, 250, 8)]
    path = tmp_path / "grey"
    path.write_bytes(b"".join(frame.tobytes() for frame in frames))
    daemon = play(bench, f"file:{path}", "--raw", "GREY:320x240", "--rate", 0, "--lossless")
    results = Sample(bench, "brightness", daemon).rest()
    assert ids(results) == list(range(1, len(frames) + 1))
    for result, frame in zip(results, frames):
        assert abs(result["brightness"] - frame.mean()) <= 0.0006


def test_brightness_of_photographs(bench, portrait):
    """Decoded and scaled on the way: as ffmpeg and numpy have it."""
    grey = recordings.ffmpeg("-i", portrait, "-vf", "extractplanes=y", "-f", "rawvideo", "-")
    means = numpy.frombuffer(grey, numpy.uint8).reshape(PORTRAIT_FRAMES, -1).mean(axis=1)
    daemon = play(bench, f"file:{portrait}", "--rate", 0, "--lossless")
    results = Sample(bench, "brightness", daemon).rest()
    assert ids(results) == list(range(1, PORTRAIT_FRAMES + 1))
    assert abs(numpy.array([result["brightness"] for result in results]) - means).max() < 1


def test_wrong_usage(bench):
    daemon = play(bench, "pattern:")
    for name in ("motion_watch", "face_detect", "producer_consumer"):
        sample = Sample(bench, name, daemon, "--nonsense")
        assert sample.wait() == 2
        assert "usage:" in sample.log()
