# SPDX-License-Identifier: MIT
"""Recordings in, recordings out: what a reader gets of a recording is what is in it, byte for byte.

The references are made by ffmpeg, which knows nothing of camtap.
"""

import json
import math
import os
import re
import threading

import pytest
import recordings
from camtap_command import Background, camtap
from camtap_testing import wait_for

FRAMES = 40


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A folder of recordings."""
    folder = tmp_path_factory.mktemp("shelf")
    recordings.mjpeg(folder / "film.mjpeg", frames=FRAMES)
    recordings.avi(folder / "film.avi", folder / "film.mjpeg")
    for name, pixels in (("420", "yuv420p"), ("422", "yuv422p"), ("mono", "gray")):
        recordings.y4m(folder / f"{name}.y4m", pixels, width=321, height=241, frames=12)
    return folder


@pytest.fixture(scope="module")
def pictures(shelf):
    """The JPEGs of the recordings, as ffmpeg finds them."""
    found = recordings.split(shelf / "film.mjpeg", shelf / "split")
    assert len(found) == len(set(found)) == FRAMES
    assert b"".join(found) == (shelf / "film.mjpeg").read_bytes()
    assert recordings.split(shelf / "film.avi", shelf / "split-avi") == found
    return found


def play(bench, source, *options, stdin=None, **more):
    """A daemon with that source. stdin: a path that is fed to it through a pipe."""
    if stdin is not None:
        more["wrapper"] = ("bash", "-c", 'exec "${@:2}" < <(cat "$1")', "bash", stdin)
    return bench.daemon("--rate", "0", *options, source=source, **more)


def dump(daemon, *options, status=0):
    return camtap("dump", "--socket", daemon.socket, "--lossless", *options).check(status)


def load(folder, extension):
    """The pictures in a folder, in the order of their frame ids, which are in their names."""
    pattern = re.compile(rf"socket|(?P<camera>[\w.]+)-(?P<time>\d{{8}}T\d{{6}}\.\d{{6}})-(?P<id>\d+)\.{extension}")
    by_id = {}
    for path in folder.iterdir():
        if path.suffix == ".json":
            continue
        match = pattern.fullmatch(path.name)
        assert match, path.name
        by_id[int(match["id"])] = path
    return [by_id[number] for number in sorted(by_id)]


def check_pictures(folder, pictures):
    files = load(folder, "jpg")
    assert [int(path.stem.rsplit("-", 1)[1]) for path in files] == list(range(1, len(pictures) + 1))
    assert [path.read_bytes() for path in files] == pictures


# ---- MJPEG: byte for byte ----


@pytest.mark.parametrize("name", ["film.mjpeg", "film.avi"])
@pytest.mark.parametrize("way", ["file", "stdin", "exec"])
def test_jpegs_are_those_of_the_recording(bench, shelf, pictures, tmp_path, name, way):
    """MJPEG and AVI, through a file, a pipe and a command."""
    if way == "file":
        daemon = play(bench, f"file:{shelf / name}", "--name", "film")
    elif way == "stdin":
        daemon = play(bench, "-", "--name", "film", stdin=str(shelf / name))
    else:
        daemon = play(bench, f"exec:cat '{shelf / name}'", "--name", "film")
    done = dump(daemon, "--output", tmp_path / "out")
    assert done.output.decode() == f"film: {FRAMES} frames written to {tmp_path / 'out'}, missed 0\n"
    assert done.error == ""
    check_pictures(tmp_path / "out", pictures)
    assert len(os.listdir(tmp_path / "out")) == FRAMES
    if way == "stdin":  # it cannot be played again
        assert daemon.wait() == 0
    else:
        assert daemon.counters()["corrupt"] == 0
        assert daemon.counters()["published"] == FRAMES


def test_avi_from_a_live_pipe(bench, shelf, pictures, tmp_path):
    """ffmpeg's AVI into a pipe has no sizes in its header, and no index."""
    command = f"ffmpeg -v error -r 25 -f mjpeg -i '{shelf}/film.mjpeg' -c copy -f avi -"
    dump(play(bench, f"exec:{command}"), "--output", tmp_path / "out")
    check_pictures(tmp_path / "out", pictures)


def test_mjpeg_to_standard_output(bench, shelf):
    """The stream that comes out is the recording that went in."""
    daemon = play(bench, f"file:{shelf}/film.mjpeg")
    assert dump(daemon, "--output", "-").output == (shelf / "film.mjpeg").read_bytes()
    # and again: a file begins anew with its next reader
    assert dump(daemon, "--output", "-", "--format", "raw").output == (shelf / "film.mjpeg").read_bytes()


def test_count_ends_a_dump(bench, shelf, pictures, tmp_path):
    daemon = play(bench, f"file:{shelf}/film.mjpeg")
    dump(daemon, "--count", 3, "--output", tmp_path / "three")
    check_pictures(tmp_path / "three", pictures[:3])
    done = dump(daemon, "--count", FRAMES + 1, "--output", tmp_path / "all", status=1)
    assert f"the recording ended after {FRAMES} frames" in done.error
    check_pictures(tmp_path / "all", pictures)


def test_interval_goes_by_the_recordings_own_time(bench, shelf, pictures, tmp_path):
    """At full speed, one picture for each 200 ms of the film: every fifth of 25 per second."""
    daemon = play(bench, f"file:{shelf}/film.avi")
    dump(daemon, "--interval", "200ms", "--output", tmp_path / "out")
    assert [path.read_bytes() for path in load(tmp_path / "out", "jpg")] == pictures[::5]


# ---- Y4M and raw: bit for bit ----


@pytest.mark.parametrize("name", ["420", "422", "mono"])
@pytest.mark.parametrize("way", ["file", "stdin", "exec"])
def test_y4m_comes_out_as_it_went_in(bench, shelf, name, way):
    """Header included; 321x241 has half a chroma sample at its edges."""
    path = shelf / f"{name}.y4m"
    if way == "file":
        daemon = play(bench, f"file:{path}")
    elif way == "stdin":
        daemon = play(bench, "-", stdin=str(path))
    else:
        daemon = play(bench, f"exec:cat '{path}'")
    assert_same_y4m(dump(daemon, "--format", "y4m", "--output", "-").output, path.read_bytes())


def assert_same_y4m(output, recording):
    (header, frames), (wanted_header, wanted) = map(recordings.split_y4m, (output, recording))
    assert len(frames) == len(wanted)
    assert frames == wanted
    assert header == wanted_header
    assert output == recording


@pytest.mark.parametrize("header", [
    "W64 H48 F30000:1001 Ip A1:1 C420jpeg XYSCSS=420JPEG",
    "W64 H48 F25:1 Ip A0:0 C420mpeg2 XYSCSS=420MPEG2",
    "W63 H47 F50:1 Ip A4:3 C420paldv XYSCSS=420PALDV",
    "W64 H48 F25:1 It A1:1 C420jpeg XYSCSS=420JPEG",
    "W64 H48 F25:1 Ib A1:1 C420jpeg XYSCSS=420JPEG",
    "W64 H48 F25:1 Ip A1:1 C420jpeg XYSCSS=420JPEG XCOLORRANGE=FULL",
    "W64 H48 F25:1 Ip A1:1 C420jpeg XYSCSS=420JPEG XCOLORRANGE=LIMITED",
    "W33 H1 F5:1 Ip A1:1 C422 XYSCSS=422",
    "W1 H1 F1:1 Ip A1:1 Cmono",
])
def test_y4m_headers(bench, tmp_path, header):
    """Rate, interlacing, pixel aspect, chroma siting and range pass through."""
    values = dict((tag[0], tag[1:]) for tag in header.split(" ") if tag[0] in "WHC")
    width, height, chroma = int(values["W"]), int(values["H"]), values["C"]
    size = width * height
    if chroma.startswith("420"):
        size += 2 * ((width + 1) // 2) * ((height + 1) // 2)
    elif chroma == "422":
        size += 2 * ((width + 1) // 2) * height
    frame = os.urandom(size)
    path = tmp_path / "in.y4m"
    path.write_bytes(f"YUV4MPEG2 {header}\n".encode() + b"".join(b"FRAME\n" + frame[i:] + frame[:i]
                                                                for i in range(3)))
    assert_same_y4m(dump(play(bench, f"file:{path}"), "--format", "y4m", "--output", "-").output,
                    path.read_bytes())


@pytest.mark.parametrize("geometry, size", [
    ("NV12:64x48", 64 * 48 * 3 // 2),
    ("YUYV:33x17", 34 * 2 * 17),
    ("GREY:31x7,stride=40", 40 * 7),
    ("RGB3:10x10,rate=30000/1001", 300),
    ("Y16:16x2", 64),
])
def test_raw_comes_out_as_it_went_in(bench, tmp_path, geometry, size):
    """Padding of lines included."""
    content = os.urandom(size * 5)
    path = tmp_path / "in.raw"
    path.write_bytes(content)
    for source, stdin in ((f"file:{path}", None), ("-", str(path)), (f"exec:cat '{path}'", None)):
        daemon = play(bench, source, "--raw", geometry, stdin=stdin)
        assert dump(daemon, "--format", "raw", "--output", "-").output == content
    daemon = play(bench, f"file:{path}", "--raw", geometry)
    dump(daemon, "--format", "raw", "--count", 5, "--output", tmp_path / "out")
    assert b"".join(path.read_bytes() for path in load(tmp_path / "out", "raw")) == content
    sidecars = sorted((tmp_path / "out").glob("*.json"))
    assert len(sidecars) == 5
    described = json.loads(sidecars[0].read_text())
    assert described["fourcc"] == geometry.split(":")[0]
    assert sum(plane["bytesused"] for plane in described["planes"]) == size


# ---- lossless, and not ----


@pytest.mark.parametrize("name, form", [("420.y4m", "y4m"), ("film.mjpeg", "jpeg")])
def test_lossless_readers_get_every_frame(bench, shelf, name, form):
    """As fast as it goes, played again and again, for readers of different speed: none misses one, and
    each gets the same bytes."""
    recording = (shelf / name).read_bytes()
    times = 4
    if form == "y4m":
        header, frames = recordings.split_y4m(recording)
        wanted = header + b"\n" + b"".join(b"FRAME\n" + frame for frame in frames * times)
        count = len(frames) * times
    else:
        wanted, count = recording * times, FRAMES * times
    daemon = play(bench, f"file:{shelf / name}", "--lossless", "--loop", "--slots", "8",
                  "--wait-readers", "3")
    readers = [Background(bench, "dump", "--socket", daemon.socket, "--format", form, "--count", count,
                          "--output", "-", nice=nice) for nice in (0, 5, 10)]
    outputs = {}
    threads = [threading.Thread(target=lambda r=reader: outputs.update({r: r.done()}))
               for reader in readers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for reader in readers:
        done = outputs[reader].check()
        assert done.output == wanted
        assert "missed 0" in done.error
    assert daemon.counters()["revoked"] == 0


def test_a_reader_waits_for_the_others(bench, shelf, pictures, tmp_path):
    """--wait-readers: nothing is played before the last one is there."""
    daemon = play(bench, f"file:{shelf}/film.mjpeg", "--wait-readers", "2")
    first = Background(bench, "dump", "--socket", daemon.socket, "--lossless", "--output",
                       tmp_path / "first")
    wait_for(lambda: daemon.stream()["clients"], "the first reader")
    assert daemon.status()["state"] in ("opening", "waiting")
    second = dump(daemon, "--output", tmp_path / "second")
    assert "missed 0" in second.output.decode()
    assert "missed 0" in first.done().check().output.decode()
    check_pictures(tmp_path / "first", pictures)
    check_pictures(tmp_path / "second", pictures)


def test_frames_that_a_reader_misses_are_counted(bench, shelf, tmp_path):
    """At full speed without lossless mode, a reader that is slow (it compresses): got + missed is what was
    published, and ids and side-cars say which ones it got."""
    daemon = play(bench, f"file:{shelf}/film.mjpeg", "--slots", "8")
    summary = camtap("dump", "--socket", daemon.socket, "--format", "png", "--json", "--output",
                     tmp_path / "out").check().json()
    assert summary["missed"] > 0
    assert summary["frames"] + summary["missed"] + summary["revoked"] == FRAMES
    files = load(tmp_path / "out", "png")
    assert len(files) == summary["frames"]
    assert files[-1].stem.endswith(f"-{FRAMES}")  # the last one stays until it is read
    assert daemon.counters()["published"] == FRAMES


# ---- damaged, looped ----


def cut_mjpeg(shelf, tmp_path, pictures):
    content = (shelf / "film.mjpeg").read_bytes()
    return content[:-len(pictures[-1]) // 2], "jpeg", b"".join(pictures[:-1])


def cut_avi(shelf, tmp_path, pictures):
    content = (shelf / "film.avi").read_bytes()
    at = content.rindex(pictures[-1])
    return content[:at + len(pictures[-1]) // 2], "jpeg", b"".join(pictures[:-1])


def cut_y4m(shelf, tmp_path, pictures):
    content = (shelf / "420.y4m").read_bytes()
    header, frames = recordings.split_y4m(content)
    whole = header + b"\n" + b"".join(b"FRAME\n" + frame for frame in frames[:-1])
    return content[:-100], "y4m", whole


def cut_raw(shelf, tmp_path, pictures):
    content = os.urandom(64 * 48 * 7)
    return content[:-1], "raw", content[:64 * 48 * 6]


@pytest.mark.parametrize("cut", [cut_mjpeg, cut_avi, cut_y4m, cut_raw])
@pytest.mark.parametrize("way", ["file", "stdin"])
def test_a_truncated_frame_is_counted_and_not_published(bench, shelf, pictures, tmp_path, cut, way):
    content, form, wanted = cut(shelf, tmp_path, pictures)
    path = tmp_path / "cut"
    path.write_bytes(content)
    options = ["--raw", "GREY:64x48"] if cut is cut_raw else []
    daemon = play(bench, f"file:{path}" if way == "file" else "-", *options,
                  stdin=str(path) if way == "stdin" else None)
    with_info = Background(bench, "dump", "--socket", daemon.socket, "--lossless", "--format", form,
                           "--output", "-")
    done = with_info.done().check()
    if form == "y4m":
        assert recordings.split_y4m(done.output)[1] == recordings.split_y4m(wanted)[1]
    else:
        assert done.output == wanted
    if way == "file":
        counters = daemon.counters()
        assert counters["corrupt"] == 1
        assert counters["published"] > 0


def test_damage_in_the_middle(bench, shelf, pictures, tmp_path):
    """A picture that lost its end is left out; those around it are whole."""
    broken = pictures[:]
    broken[5] = broken[5][:-1000]
    (tmp_path / "broken.mjpeg").write_bytes(b"".join(broken))
    daemon = play(bench, f"file:{tmp_path}/broken.mjpeg")
    assert dump(daemon, "--output", "-").output == b"".join(pictures[:5] + pictures[6:])
    assert daemon.counters()["corrupt"] == 1
    assert daemon.counters()["published"] == FRAMES - 1


def segment(picture, code):
    """The offset of the first segment with this marker, in a JPEG without restart markers."""
    at = 2
    while picture[at + 1] != code:
        at += 2 + int.from_bytes(picture[at + 2:at + 4], "big")
        assert picture[at] == 0xFF
    return at


def damage(picture, code, offset, value):
    at = segment(picture, code) + offset
    assert picture[at] != value
    return picture[:at] + bytes([value]) + picture[at + 1:]


DAMAGES = [
    lambda picture: b"\0" + picture[1:],  # no beginning
    lambda picture: picture[:-2] + b"\0\0",  # no end
    lambda picture: picture[:-5000] + bytes(5000),  # the end is zeros
    lambda picture: damage(picture, 0xDB, 0, 0),  # a marker that is none
    lambda picture: damage(picture, 0xDB, 1, 0xFE),  # no quantisation tables
    lambda picture: damage(picture, 0xDB, 3, 0x44),  # a wrong length
    lambda picture: damage(picture, 0xC0, 1, 0xC9),  # arithmetic coding
    lambda picture: damage(picture, 0xC0, 6, 0x01),  # another height
    lambda picture: damage(picture, 0xC4, 4, 0x01),  # a Huffman table in the place of another
    lambda picture: damage(picture, 0xC4, 21, 0x0F),  # an impossible symbol in it
    lambda picture: damage(picture, 0xDA, 5, 0x09),  # the scan of a component that is not there
    lambda picture: damage(picture, 0xDA, 12, 0x05),  # not all of it
    lambda picture: picture[:-3000] + b"\xff\xdb" + picture[-2998:],  # a segment in the scan
]


@pytest.mark.parametrize("name", ["film.mjpeg", "film.avi"])
def test_every_damaged_picture_is_counted_and_none_published(bench, shelf, pictures, tmp_path, name):
    content = (shelf / name).read_bytes()
    good = pictures[:]
    for i, spoil in enumerate(DAMAGES):
        broken = spoil(pictures[3 * i + 1])
        assert content.count(pictures[3 * i + 1]) == 1
        assert len(broken) == len(pictures[3 * i + 1])
        content = content.replace(pictures[3 * i + 1], broken)
        good.remove(pictures[3 * i + 1])
    (tmp_path / name).write_bytes(content)
    daemon = play(bench, f"file:{tmp_path / name}", "--name", "film")
    assert dump(daemon, "--output", "-").output == b"".join(good)
    assert daemon.counters()["corrupt"] == len(DAMAGES)
    assert daemon.counters()["published"] == len(good)


def test_loop_goes_on_with_frames_and_time(bench, shelf, pictures, tmp_path):
    """--loop: ids and media time go on where the recording begins again."""
    daemon = play(bench, f"file:{shelf}/film.avi", "--loop")
    dump(daemon, "--count", 2 * FRAMES + 3, "--sidecar", "--output", tmp_path / "out")
    check_pictures(tmp_path / "out", pictures + pictures + pictures[:3])
    times = [int(json.loads(path.with_suffix(".json").read_text())["media_time_ns"])
             for path in load(tmp_path / "out", "jpg")]
    assert times == [number * 10**9 // recordings.RATE for number in range(2 * FRAMES + 3)]


# ---- pictures in other formats ----


def psnr(a, b):
    """Peak signal-to-noise ratio of samples of 8 bits, dB."""
    assert len(a) == len(b)
    error = sum((x - y) ** 2 for x, y in zip(a, b)) / len(a)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


@pytest.mark.parametrize("name, pixels, least", [
    ("film.mjpeg", "rgb24", 38), ("420.y4m", "rgb24", 36), ("422.y4m", "rgb24", 38),
    ("mono.y4m", "gray", math.inf)])
def test_png_and_ppm_show_what_ffmpeg_decodes(bench, shelf, tmp_path, name, pixels, least):
    """PNG and PPM have the same pixels, and those that ffmpeg makes of the recording: the same for grey, and
    for colour but for rounding, and for chroma that is repeated here and interpolated there."""
    daemon = play(bench, f"file:{shelf / name}")
    ppm = dump(daemon, "--format", "ppm", "--count", 1, "--output", "-").output
    png = dump(daemon, "--format", "png", "--count", 1, "--output", "-").output
    assert ppm[:2] == (b"P5" if pixels == "gray" else b"P6")
    samples = recordings.decode(ppm, pixels, "image2pipe")
    assert samples == recordings.decode(png, pixels, "image2pipe")
    assert psnr(samples, recordings.decode(shelf / name, pixels)) >= least


def test_jpegs_made_of_y4m(bench, shelf):
    """Encoded here: near what went in, and a fresh header each."""
    daemon = play(bench, f"file:{shelf}/420.y4m")
    jpegs = dump(daemon, "--quality", 95, "--count", 2, "--output", "-").output
    assert jpegs.count(b"\xff\xd8\xff") == 2
    samples = recordings.decode(jpegs, "rgb24", "mjpeg")
    assert psnr(samples, recordings.decode(shelf / "420.y4m", "rgb24")) >= 35


def test_sidecar_describes_its_picture(bench, shelf, tmp_path):
    """The keys are a contract: 64-bit values are strings, units are in the names."""
    daemon = play(bench, f"file:{shelf}/film.avi", "--name", "yard")
    dump(daemon, "--count", 2, "--sidecar", "--output", tmp_path / "out")
    files = load(tmp_path / "out", "jpg")
    first, second = (json.loads(path.with_suffix(".json").read_text()) for path in files)
    assert first["schema"] == 1
    assert first["camera"] == "yard" and files[0].name.startswith("yard-")
    assert (first["fourcc"], first["width"], first["height"]) == ("MJPG", 320, 240)
    assert (first["id"], second["id"]) == ("1", "2")
    assert re.fullmatch(r"[1-9]\d*", first["epoch"]) and first["epoch"] == second["epoch"]
    assert (first["sequence"], second["sequence"]) == (0, 1)
    assert (first["rate_numerator"], first["rate_denominator"]) == (recordings.RATE, 1)
    assert (first["media_time_ns"], second["media_time_ns"]) == ("0", str(10**9 // recordings.RATE))
    assert first["capture_clock"] == "monotonic"
    for key in ("capture_time_ns", "publish_time_ns", "realtime_ns"):
        assert int(first[key]) <= int(second[key])
        assert isinstance(first[key], str)
    assert first["planes"] == [{"offset": 0, "stride": 0, "bytesused": files[0].stat().st_size}]
    assert "timestamp_eof" in first["flags"]
    for key in ("field", "colorspace", "ycbcr_enc", "quantization", "xfer_func"):
        assert isinstance(first[key], int)


# ---- commands as sources ----


def test_a_command_runs_only_while_somebody_reads(bench, shelf, tmp_path):
    pid_file = tmp_path / "pid"
    daemon = bench.daemon("--idle-timeout", "50ms", source=(
        f"exec:echo $$ > '{pid_file}'; while cat '{shelf}/film.mjpeg'; do sleep 0.1; done"))
    daemon.status()  # an observer starts nothing
    assert not pid_file.exists()
    camtap("dump", "--socket", daemon.socket, "--count", 3, "--output", tmp_path / "out").check()
    pid = int(pid_file.read_text())
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the end of the command")
    wait_for(lambda: daemon.status()["state"] == "idle", "the camera's rest")
