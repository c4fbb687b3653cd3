# SPDX-License-Identifier: MIT
"""camtap_fd() in event loops: readable exactly as long as camtap_next() has something to do, so a loop
never spins and never sleeps on a frame that is there. GLib's main loop and plain epoll, with the bell
(camtap_set_bell()), which must not swallow what camtap_fd() is for, and without.

Wake-ups that bring nothing (report: "idle") are what the library needs for itself:
- to attach: WELCOME, FORMAT, SOURCEs, and a timer for each attempt;
- a frame that was seen in the pool before it was announced: its announcement. That is rare (0 of 20
  frames on an idle machine), so the limit of one in two frames is far from it, and from two wake-ups
  per frame, and from a loop that spins.
"""

import os
import signal

import pytest
import recordings
from camtap_testing import Daemon, wait_for
from fed_camera import FedCamera
from loop_reader import LoopReader

IDLE_TO_ATTACH = 12
ATTEMPTS = 12  # in the first second or two without a daemon: after 5, 10, 20 ... 640 ms, 1 s

WAYS = [(loop, wake) for loop in ("epoll", "glib") for wake in ("bell", "messages")]


@pytest.fixture(params=WAYS, ids=["-".join(way) for way in WAYS])
def way(request):
    return request.param


def watch(bench, daemon, way):
    return LoopReader(bench, daemon.socket, *way)


def check_drained(drained):
    """As long as the fd was readable there was something to do, then there was nothing."""
    assert drained["after"] == "again"
    assert drained["readable"] == 0
    return drained


@pytest.fixture
def fed(bench, way):
    """A camera that is fed, and a reader that has had its first frame."""
    camera = FedCamera(bench)
    reader = watch(bench, camera, way)
    camera.feed(1)
    reader.expect("epoch", id=1)
    check_drained(reader.ask("drain", "drained"))
    assert reader.report()["idle"] <= IDLE_TO_ATTACH
    return camera, reader


# ---- a camera ----


def test_steady(bench, way):
    """Each frame is one wake-up."""
    daemon = bench.daemon("--size", "320x240", "--rate", "120")
    reader = watch(bench, daemon, way)
    reader.expect("epoch")
    reader.await_frames(120)
    report = reader.report()
    assert report["torn"] == report["stale"] == report["limit"] == 0
    assert report["frames"] >= 120
    assert report["wakes"] == report["frames"] + report["events"] + report["idle"]
    assert report["idle"] <= report["frames"] // 2 + IDLE_TO_ATTACH
    reader.quit()


def test_frame_by_frame(fed):
    """One at a time, one wake-up each, and nothing in between."""
    camera, reader = fed
    for _ in range(20):
        camera.feed(1)
        reader.until(camera.count)
    check_drained(reader.ask("drain", "drained"))
    report = reader.report()
    assert (report["frames"], report["missed"], report["last"]) == (20, 0, camera.count)
    assert report["idle"] <= 10
    reader.quit()


@pytest.mark.parametrize("count", [1, 2, 6, 50])
def test_frames_that_wait(fed, count):
    """Frames pile up while the program is busy. All their announcements may be read with the first: the
    fd stays readable until the last frame is taken, and not longer. Of 50 most are gone by then."""
    camera, reader = fed
    for _ in range(3):
        reader.program.signal(signal.SIGSTOP)
        camera.feed(count)
        reader.say("drain")
        reader.program.signal(signal.SIGCONT)
        check_drained(reader.expect("drained").values)
        report = reader.report()
        assert report["last"] == camera.count
        assert report["frames"] + report["missed"] == count
        if count <= 6:
            assert report["missed"] == 0
        assert report["idle"] <= count // 2 + 1
        # and a second look finds nothing
        assert check_drained(reader.ask("drain", "drained"))["frames"] == 0
    reader.quit()


# ---- the lease limit ----


@pytest.mark.parametrize("command", ["release", "worker"])
def test_at_the_lease_limit(fed, command):
    """Frames that may not be taken wake nobody. Once one is given back, by the loop's own thread or by
    another one while the loop sleeps, they come, though nothing new is published."""
    camera, reader = fed
    reader.ask("limit", "holding")
    camera.feed(4)
    reader.expect("limit", held=4)
    reader.report()
    for _ in range(7):
        camera.feed(1)
    report = reader.report()
    assert report["wakes"] <= 1, report  # one that was on its way
    assert report["frames"] == 0
    assert reader.ask("try", "tried") == {"result": "ENOBUFS"}
    camera.feed(1)
    report = reader.report()
    assert (report["wakes"], report["frames"], report["limit"]) == (0, 0, 1)

    assert reader.release(1, command) == [{"epoch": reader_epoch(reader), "id": 2, "result": 0}]
    reader.until(camera.count)
    check_drained(reader.ask("drain", "drained"))
    report = reader.report()
    assert (report["frames"], report["missed"], report["last"]) == (8, 0, camera.count)
    assert report["idle"] <= 4
    reader.quit()


def reader_epoch(reader):
    """That of the frames that it holds."""
    epochs = {frame["epoch"] for frame in reader.check()}
    assert len(epochs) == 1
    return epochs.pop()


@pytest.mark.parametrize("command", ["release", "worker"])
def test_at_the_lease_limit_with_nothing_to_come(fed, command):
    """Giving back brings at most one look that finds nothing."""
    camera, reader = fed
    reader.ask("limit", "holding")
    camera.feed(4)
    reader.expect("limit", held=4)
    check_drained(reader.ask("drain", "drained"))
    reader.report()
    for held in (3, 2, 1, 0):
        assert [frame["result"] for frame in reader.release(1, command)] == [0]
        check_drained(reader.ask("drain", "drained"))
        report = reader.report()
        assert (report["held"], report["frames"]) == (held, 0)
        assert report["idle"] <= 1
    camera.feed(1)
    reader.until(camera.count)
    reader.quit()


def test_one_below_the_lease_limit(fed):
    """A program that keeps three and works with the fourth gets every frame, with one wake-up."""
    camera, reader = fed
    reader.ask("hold 3", "holding")
    camera.feed(3)
    for _ in range(3):
        reader.expect("held")
    reader.report()
    for _ in range(20):
        camera.feed(1)
        reader.until(camera.count)
    check_drained(reader.ask("drain", "drained"))
    report = reader.report()
    assert (report["frames"], report["missed"], report["held"]) == (20, 0, 3)
    assert report["idle"] <= 10
    reader.quit()


def test_the_end_is_told_at_the_lease_limit(fed):
    """An event behind frames that may not be taken waits for them, and then comes by itself."""
    camera, reader = fed
    reader.ask("limit", "holding")
    camera.feed(6)
    reader.expect("limit", held=4)
    camera.daemon.popen.stdin.close()
    wait_for(lambda: camera.daemon.status()["state"] == "ended", "the end")
    camera.rest()
    reader.report()
    assert reader.ask("try", "tried") == {"result": "ENOBUFS"}
    assert reader.report()["wakes"] <= 2
    reader.release(1, "worker")
    reader.expect("outcome", what="ended")
    report = reader.report()
    assert (report["frames"], report["missed"], report["last"]) == (2, 0, camera.count)
    check_drained(reader.ask("drain", "drained"))
    reader.release(3)
    reader.quit()


# ---- no daemon, no camera ----


def start(bench, directory):
    daemon = Daemon("--size", "320x240", "--rate", "120", directory=directory)
    bench.daemons.append(daemon)
    return daemon.wait_until_it_listens()


@pytest.fixture
def directory(bench):
    path = os.path.join(bench.directory, "d")
    os.mkdir(path, 0o755)
    return path


def test_without_a_daemon(bench, directory, way):
    """While there is none the loop wakes for its attempts only; when there is one again, frames come by
    themselves."""
    daemon = start(bench, directory)
    reader = watch(bench, daemon, way)
    reader.expect("epoch")
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    reader.expect("outcome", what="offline")
    check_drained(reader.ask("drain", "drained"))
    report = reader.report()
    assert report["idle"] <= report["frames"] // 2 + IDLE_TO_ATTACH + ATTEMPTS

    start(bench, directory)
    reader.expect("epoch")
    reader.await_frames(30)
    assert sorted(reader.outcomes()) == ["discontinuity", "online"]
    report = reader.report()
    assert report["frames"] >= 30
    assert report["idle"] <= report["frames"] // 2 + IDLE_TO_ATTACH + ATTEMPTS
    reader.quit()


def test_without_a_daemon_at_the_lease_limit(bench, directory, way):
    """All leases are taken and frames wait when the daemon dies: it is attached to the next one all the
    same. What is given back brings first what waited, then what happened, then the new frames."""
    daemon = start(bench, directory)
    reader = watch(bench, daemon, way)
    old = reader.expect("epoch").values["epoch"]
    reader.ask("limit", "limit")
    goal = daemon.counters()["published"] + 5
    wait_for(lambda: daemon.counters()["published"] >= goal, "frames")
    reader.report()
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    assert reader.ask("try", "tried") == {"result": "ENOBUFS"}

    daemon = start(bench, directory)
    wait_for(lambda: daemon.stream()["clients"], "the reader")
    wait_for(lambda: daemon.counters()["published"] > 30, "frames")
    assert [(frame["epoch"], frame["result"]) for frame in reader.check()] == [(old, 0)] * 4
    assert not reader.take("epoch") and not reader.outcomes()
    report = reader.report()
    assert report["frames"] == 0
    assert report["wakes"] <= ATTEMPTS + IDLE_TO_ATTACH  # attempts, and what a new daemon says
    assert [frame["result"] for frame in reader.release(4, "worker")] == [0] * 4
    assert reader.expect("epoch").values["epoch"] != old
    report = reader.report()
    assert report["frames"] >= 5  # those that waited
    assert reader.outcomes()[-1] in ("discontinuity", "online")
    reader.await_frames(30)
    report = reader.report()
    assert report["idle"] <= report["frames"] // 2 + IDLE_TO_ATTACH + ATTEMPTS
    reader.quit()


def test_a_daemon_that_stands_still(bench, way):
    """It accepts and does not answer: told after a while, no spinning; when it goes on, so does the
    reader."""
    daemon = bench.daemon("--size", "320x240", "--rate", "120")
    daemon.signal(signal.SIGSTOP)
    reader = watch(bench, daemon, way)
    reader.expect("outcome", what="offline")
    report = reader.report()
    assert report["idle"] <= 2
    daemon.signal(signal.SIGCONT)
    reader.expect("outcome", what="online")
    reader.expect("epoch")
    reader.quit()


def test_without_a_camera(bench, tmp_path, way):
    """The camera is away: told once, and quiet, however often the daemon tries; when it is back, frames."""
    attempts, film = tmp_path / "attempts", tmp_path / "film.y4m"
    daemon = bench.daemon("--rate", "120", source=(
        f"exec:echo >> '{attempts}'; test -e '{film}' && cat '{film}' && exec sleep 1000; exit 3"))
    daemon.expect_log("the recording is empty|the command failed|exit status")
    reader = watch(bench, daemon, way)
    reader.expect("outcome", what="offline")
    reader.report()
    tried = attempts.stat().st_size
    wait_for(lambda: attempts.stat().st_size >= tried + 3, "three more attempts")
    report = reader.report()
    assert report["wakes"] <= 2, report
    assert reader.outcomes() == []

    recordings.y4m(tmp_path / "new.y4m", "gray", width=64, height=48, frames=50)
    os.rename(tmp_path / "new.y4m", film)
    reader.expect("outcome", what="online")
    reader.expect("epoch")
    reader.await_frames(20)
    report = reader.report()
    assert report["idle"] <= report["frames"] // 2 + IDLE_TO_ATTACH
    reader.quit()


def test_a_file_that_comes_later(bench, tmp_path, way):
    """--wait: no camera from the start."""
    film = tmp_path / "film.y4m"
    daemon = bench.daemon("--wait", "--loop", "--rate", "120", source=f"file:{film}")
    daemon.expect_log("No such file")
    reader = watch(bench, daemon, way)
    assert "No such file" in reader.expect("outcome", what="offline").text
    recordings.y4m(tmp_path / "new.y4m", "gray", width=64, height=48, frames=50)
    os.rename(tmp_path / "new.y4m", film)
    reader.expect("outcome", what="online")
    reader.expect("epoch")
    reader.await_frames(20)
    reader.quit()
