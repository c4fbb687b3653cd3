# SPDX-License-Identifier: MIT
"""How v4l2.py reads what comes out of the guest."""

import pytest
import v4l2

CALLS = """\
160   ioctl(10, VIDIOC_DQBUF, {type=V4L2_BUF_TYPE_VIDEO_CAPTURE, index=1, memory=V4L2_MEMORY_USERPTR}) = 0
160   ioctl(10, VIDIOC_QBUF, {type=V4L2_BUF_TYPE_VIDEO_CAPTURE, index=2, memory=V4L2_MEMORY_USERPTR}) = 0
155   epoll_wait(4, [{events=EPOLLIN}], 16, -1) = 1
160   ioctl(10, VIDIOC_DQBUF, {type=V4L2_BUF_TYPE_VIDEO_CAPTURE}) = -1 EAGAIN (Resource temporarily unavailable)
160   poll([{fd=10, events=POLLIN|POLLPRI}], 1, 0) = 0 (Timeout)
160   ppoll([{fd=8, events=POLLIN}], 2, {tv_sec=1, tv_nsec=9}, NULL, 8 <unfinished ...>
160   <... ppoll resumed>) = 1 ([{fd=10, revents=POLLIN}])
160   ioctl(10, VIDIOC_DQBUF, {type=V4L2_BUF_TYPE_VIDEO_CAPTURE, index=3, memory=V4L2_MEMORY_USERPTR}) = 0
"""


def test_system_calls_per_frame(tmp_path):
    (tmp_path / "x.calls").write_text(CALLS)
    (tmp_path / "x.threads").write_text("155 camtapd\n160 capture\n")
    assert v4l2.count_calls(tmp_path, "x") == {
        "capture": {"VIDIOC_DQBUF": 1, "VIDIOC_DQBUF EAGAIN": 0.5, "VIDIOC_QBUF": 0.5, "poll": 0.5, "ppoll": 0.5},
        "camtapd": {"epoll_wait": 0.5}}


def test_figures_are_per_frame_and_of_all_threads():
    result = {"seconds": 2.0, "frames": 100, "dropped": 3, "vivid_ns": 7000, "threads": {"camtapd": 100, "capture": 900}}
    assert v4l2.evaluate(result) == {"instructions": 10, "vivid": 70, "rate": 50, "dropped": 3}


@pytest.mark.parametrize("cost, good", ((110, True), (112, False)))
def test_size_must_cost_nothing(capsys, cost, good):
    def rows(instructions):
        return [{name: {"instructions": instructions} for name in v4l2.CANDIDATES}]

    assert v4l2.show_sizes({"640x480": rows(100), "3840x2160": rows(cost)}) == good
    assert ("NO" in capsys.readouterr().out) == (not good)
    assert v4l2.show_sizes({"640x480": rows(100)})


@pytest.mark.parametrize("cost, good", ((120, True), (130, False)))
def test_the_limit(capsys, cost, good):
    figures = {"instructions": 100, "vivid": 1, "rate": 60, "dropped": 0}
    rows = [{name: figures for name in v4l2.CANDIDATES} | {v4l2.DECIDES: figures | {"instructions": cost}}]
    options = type("", (), {"pixel_format": "NV12", "seconds": 1})
    assert v4l2.show("640x360", rows, options) == good
    assert ("NO" in capsys.readouterr().out) == (not good)
