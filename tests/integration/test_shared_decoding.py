# SPDX-License-Identifier: MIT
"""Streams of a JPEG camera that are made of each other, so that it is decoded once."""

import signal

import numpy
import recordings
from camtap_command import Background, camtap
from camtap_testing import wait_for

PARENT, CHILD = "GREY:160x120", "GREY:80x60"


def streams(daemon):
    return {stream["stream"]: stream for stream in daemon.status()["streams"]}


def reader(bench, daemon, stream):
    return Background(bench, "hz", "--socket", daemon.socket, "--stream", stream)


def published(daemon, stream):
    return stream in streams(daemon) and int(streams(daemon)[stream]["counters"]["published"])


def test_a_stream_is_made_of_a_larger_one(bench, tmp_path):
    film = recordings.mjpeg(tmp_path / "film.mjpeg", frames=40)  # 320x240
    daemon = bench.daemon("--loop", source=f"file:{film}")
    first = reader(bench, daemon, PARENT)
    wait_for(lambda: published(daemon, PARENT), "the first stream")
    second = reader(bench, daemon, CHILD)
    wait_for(lambda: published(daemon, CHILD), "the second stream")
    found = streams(daemon)
    assert (found[PARENT]["from"], found[CHILD]["from"]) == ("native", PARENT)
    assert found[CHILD]["epoch"] == found[PARENT]["epoch"] == found["native"]["epoch"]

    # without its reader the first goes on for the second
    first.signal(signal.SIGTERM)
    wait_for(lambda: not streams(daemon)[PARENT]["clients"], "its reader is gone")
    before = published(daemon, CHILD)
    wait_for(lambda: published(daemon, CHILD) > before + 10, "it goes on")
    second.signal(signal.SIGTERM)
    wait_for(lambda: list(streams(daemon)) == ["native"], "both are gone")


def test_what_cannot_be_made_of_another_is_not(bench, tmp_path):
    film = recordings.mjpeg(tmp_path / "film.mjpeg", frames=40)
    daemon = bench.daemon("--loop", source=f"file:{film}")
    readers = [reader(bench, daemon, PARENT)]
    wait_for(lambda: published(daemon, PARENT), "the first stream")
    others = ["GREY:100x60", "YU12:80x60", "GREY:320x240", "GREY:80x60,crop=160x120+0+0"]
    readers += [reader(bench, daemon, other) for other in others]
    for other in others:
        wait_for(lambda: published(daemon, other), other)
        assert streams(daemon)[other]["from"] == "native"
    for each in readers:
        each.signal(signal.SIGTERM)


def test_a_stream_of_the_camera_s_own_size_feeds_no_other(bench, tmp_path):
    """Its size is not known when it is asked for, so the factor need not be a whole one; and a smaller one
    would be decoded smaller."""
    film = recordings.mjpeg(tmp_path / "film.mjpeg", frames=40)
    daemon = bench.daemon("--loop", source=f"file:{film}")
    readers = [reader(bench, daemon, "GREY")]
    wait_for(lambda: published(daemon, "GREY"), "the first stream")
    readers.append(reader(bench, daemon, "GREY:100x60"))
    wait_for(lambda: published(daemon, "GREY:100x60"), "the second stream")
    assert streams(daemon)["GREY:100x60"]["from"] == "native"
    for each in readers:
        each.signal(signal.SIGTERM)


def test_its_pixels_are_those_of_one_that_was_made_alone(bench, tmp_path):
    """Of the same lossless recording: once by itself, once of another stream."""
    film = recordings.mjpeg(tmp_path / "film.mjpeg", frames=20)

    def pictures(*options):
        daemon = bench.daemon("--lossless", "--wait-readers", str(1 + len(options)), source=f"file:{film}")
        others = [
            Background(bench, "hz", "--socket", daemon.socket, "--stream", other) for other in options
        ]
        for other in options:
            wait_for(lambda: other in streams(daemon), other)
            assert streams(daemon)[other]["from"] == "native"
        done = camtap("dump", "--socket", daemon.socket, "--stream", CHILD, "--format", "raw",
                      "--output", "-", "--count", 20).check()
        for other in others:
            other.done().check()
        daemon.stop()
        return numpy.frombuffer(done.output, numpy.uint8).reshape(20, 60, 80).astype(int)

    alone, shared = pictures(), pictures(PARENT)
    assert abs(alone - shared).max() <= 2 and abs(alone - shared).mean() < 0.5
