# SPDX-License-Identifier: MIT
"""What is wrong gets one clear line and the right exit status: 1 failed, 2 wrong usage or configuration,
3 no frame in time."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile

import pytest
import recordings
from camtap_command import CAMTAP, Background, camtap, run
from camtap_testing import Daemon, build_path, wait_for

CAMTAPD = build_path("daemon/camtapd")
NOBODY = 65534


def camtapd(*options, **more):
    return run(CAMTAPD, *options, **more)


def refused(done, status, *words):
    """One line, for systemd with its priority, that has all these words."""
    done.check_line(status, r"^<3>camtapd: ")
    for word in words:
        assert word in done.error, done.error
    assert done.output == b""


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return recordings.mjpeg(tmp_path_factory.mktemp("film") / "film.mjpeg", frames=40)


# ---- camtapd: sources ----


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Recordings that are none."""
    folder = tmp_path_factory.mktemp("shelf")
    recordings.mjpeg(folder / "good.mjpeg", frames=3)
    recordings.avi(folder / "good.avi", folder / "good.mjpeg")
    (folder / "empty").touch()
    (folder / "text").write_text("This is no recording.\n" * 100)
    (folder / "cut.y4m").write_bytes(b"YUV4MPEG2 W64 H48 F25:1 ")
    (folder / "cut.avi").write_bytes((folder / "good.avi").read_bytes()[:200])
    (folder / "cut.mjpeg").write_bytes((folder / "good.mjpeg").read_bytes()[:200])
    (folder / "huge.y4m").write_bytes(b"YUV4MPEG2 W99999 H99999 F25:1 C420jpeg\nFRAME\n")
    (folder / "444.y4m").write_bytes(b"YUV4MPEG2 W64 H48 F25:1 C444\nFRAME\n" + bytes(64 * 48 * 3))
    (folder / "no-size.y4m").write_bytes(b"YUV4MPEG2 F25:1 C420jpeg\nFRAME\n")
    (folder / "terminal.y4m").write_bytes(b"YUV4MPEG2 W64 H48 C\x1b[31mred\nFRAME\n")
    return folder


@pytest.mark.parametrize("source, status, words", [
    ("/dev/video99", 1, ["/dev/video99", "no such device", "plugged in"]),
    ("v4l2:/dev/v4l/by-id/nothing", 1, ["/dev/v4l/by-id/nothing", "no such device"]),
    ("/dev/null", 1, ["/dev/null", "not a V4L2 device"]),
    ("v4l2:{}/text", 1, ["text", "not a V4L2 device"]),
    ("file:{}/missing", 1, ["missing", "No such file"]),
    ("file:{}/empty", 1, ["empty: the recording is empty"]),
    ("file:{}/text", 1, ["text: neither Y4M nor MJPEG nor AVI", "--raw"]),
    ("file:{}", 1, ["is a directory"]),
    ("file:{}/cut.y4m", 1, ["cut.y4m", "ends within its header"]),
    ("file:{}/cut.avi", 1, ["cut.avi", "ends within its header"]),
    ("file:{}/cut.mjpeg", 1, ["cut.mjpeg", "ends within its header"]),
    ("file:{}/huge.y4m", 1, ["huge.y4m", "99999x99999", "too large"]),
    ("file:{}/444.y4m", 1, ["444.y4m", "444", "convert it"]),
    ("file:{}/no-size.y4m", 1, ["no-size.y4m"]),
    ("file:{}/terminal.y4m", 1, ["terminal.y4m"]),
    ("file:", 2, ["file:PATH"]),
    ("exec:", 2, ["exec:COMMAND"]),
    ("pattern:bars", 2, ["--size"]),
    ("libcamera:0", 2, ["rpicam-vid"]),
    ("rtsp://camera/1", 2, ["rtsp://camera/1", "/dev/videoN", "file:PATH", "exec:COMMAND"]),
    ("{}/good.mjpeg", 2, ["good.mjpeg", "file:PATH"]),
    ("", 2, ["--source"]),
])
def test_sources_that_are_none(shelf, tmp_path, source, status, words):
    done = camtapd("--source", source.format(shelf), "--name", "x", "--socket", tmp_path / "socket")
    refused(done, status, *words)
    assert "\x1b" not in done.error  # what a file says of itself does not reach the terminal
    assert os.listdir(tmp_path) == []


def test_a_recording_that_may_not_be_read(shelf, tmp_path):
    if os.geteuid() != 0:  # root may read everything
        (tmp_path / "secret").touch(mode=0o000)
        refused(camtapd("--source", f"file:{tmp_path}/secret"), 1, "secret", "Permission denied")
        return
    folder = tempfile.mkdtemp(dir="/tmp")
    try:
        os.chmod(folder, 0o755)
        with open(f"{folder}/secret", "w"):
            os.chmod(f"{folder}/secret", 0o600)
        refused(camtapd("--source", f"file:{folder}/secret", "--socket", f"{folder}/socket",
                        user=NOBODY, group=NOBODY, extra_groups=[]), 1, "secret", "Permission denied")
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("feed, words", [("/dev/null", "the recording is empty"),
                                         ("{}/text", "neither Y4M nor MJPEG nor AVI"),
                                         ("{}/cut.y4m", "ends within its header")])
def test_standard_input_that_is_no_recording(bench, shelf, feed, words):
    """It is looked at when the first reader is there, and cannot be played again: the daemon ends."""
    daemon = bench.daemon(source="-", wrapper=("bash", "-c", 'exec "${@:2}" < <(cat "$1")', "bash",
                                               feed.format(shelf)))
    daemon.expect_log(words)
    done = camtap("hz", "--socket", daemon.socket, "--count", 1, "--timeout", "2s")
    assert done.status in (1, 3) and done.error
    assert daemon.wait() == 1
    assert words in daemon.log() and len(daemon.complaints()) == 1


@pytest.mark.parametrize("command, words", [
    ("exit 7", "exit status 7"),
    ("kill -SEGV $$", "killed by Segmentation fault"),
    ("/nonexistent/program 2>/dev/null", "exit status 127"),
    ("echo This is no recording at all.", "neither Y4M nor MJPEG nor AVI"),
])
def test_commands_that_fail(bench, command, words):
    """exec: the daemon stays and tries again; who reads is told why there is nothing."""
    daemon = bench.daemon(source=f"exec:{command}")
    daemon.expect_log(words)
    waiting = Background(bench, "hz", "--socket", daemon.socket, "--timeout", "60s")
    status = wait_for(lambda: daemon.status()["state"] == "offline" and daemon.status(), "the failure")
    assert words in status["reason"]
    done = camtap("hz", "--socket", daemon.socket, "--timeout", "1s").check(3)
    assert words in done.error.splitlines()[-1]
    waiting.signal(signal.SIGINT)
    assert words in waiting.done().error


# ---- camtapd: options and configuration ----


@pytest.mark.parametrize("options, words", [
    ([], ["no source", "--source /dev/video0", "pattern:"]),
    (["--source", "pattern:", "--pixel-format", "MJPG"], ["cannot draw this pixel format", "NV12", "YUYV"]),
    (["--source", "pattern:", "--pixel-format", "ABCD"], ["--pixel-format", "ABCD"]),
    (["--source", "pattern:", "--size", "8x8"], ["8x8", "32x32"]),
    (["--source", "pattern:", "--size", "20000x10"], ["--size", "20000x10", "16384"]),
    (["--source", "pattern:", "--size", "wide"], ["--size", "wide", "WIDTHxHEIGHT"]),
    (["--source", "pattern:", "--size", "0x0"], ["--size", "0x0"]),
    (["--source", "pattern:", "--rate", "-1"], ["--rate", "-1", "29.97"]),
    (["--source", "pattern:", "--rate", "fast"], ["--rate", "fast"]),
    (["--source", "pattern:", "--slots", "2"], ["--slots", "2", "3 to 64"]),
    (["--source", "pattern:", "--slots", "65"], ["--slots", "65", "3 to 64"]),
    (["--source", "pattern:", "--max-leases", "0"], ["--max-leases", "0"]),
    (["--source", "pattern:", "--max-clients", "many"], ["--max-clients", "many"]),
    (["--source", "pattern:", "--idle-timeout", "soon"], ["--idle-timeout", "soon", "250ms"]),
    (["--source", "pattern:", "--memory-limit", "1"], ["--memory-limit", "1M"]),
    (["--source", "pattern:", "--loop=perhaps"], ["--loop", "perhaps", "yes or no"]),
    (["--source", "pattern:", "--name", "a/b"], ["--name", "a/b"]),
    (["--source", "pattern:", "--wait-readers", "200"], ["200", "128", "max_clients"]),
    (["--source", "-", "--loop"], ["standard input", "--loop"]),
    (["--source", "exec:cat", "--loop"], ["--loop"]),
    (["--source", "file:x", "--size", "64x48"], ["--size", "--raw"]),
    (["--source", "file:x", "--raw", "NV12"], ["FOURCC:WxH"]),
    (["--source", "file:x", "--raw", "NV12:64x48,rate=x"], ["FOURCC:WxH"]),
    (["--nonsense"], ["--nonsense", "no such option", "--help"]),
    (["--size"], ["--size", "value is missing"]),
    (["pattern:"], ["pattern:", "--source pattern:"]),
    (["--source", "pattern:", "--socket", "/" + "x" * 200], ["--socket", "107"]),
    (["--config", "/nonexistent.conf"], ["/nonexistent.conf", "No such file"]),
])
def test_options(tmp_path, options, words):
    socket_option = [] if "--socket" in options else ["--socket", tmp_path / "socket"]
    refused(camtapd(*socket_option, *options), 2, *words)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("lines, line, words", [
    (["[Camera]", "sorce = pattern:"], 2, ["no such key: sorce", "source"]),
    (["[Camera]", "", "# a comment", "rate = fast"], 4, ["rate = fast", "29.97"]),
    (["[Camera]", "source = pattern:", "[Pool]", "slots = 1000"], 4, ["slots = 1000", "3 to 64"]),
    (["[Clients]", "slots = 5"], 2, ["slots belongs into section [Pool]"]),
    (["[Kamera]", "source = pattern:"], 2, ["[Kamera]", "[Camera], [Pool], [Clients], [Access] and [Controls]"]),
    (["rate = 30"], 1, ["rate belongs into section [Camera]"]),
    (["nonsense = 30"], 1, ["nonsense", "no section", "[Camera], [Pool], [Clients], [Access] and [Controls]"]),
    (["[Camera]", "rate = 30", "rate = 25"], 3, ["rate", "line 2"]),
    (["[Camera]", "rate"], 2, ["KEY = VALUE"]),
    (["[Camera", "rate = 30"], 1, ["[SECTION]"]),
    (["[Camera]", "rate = 30 # a lot"], 2, ["comment"]),
    (["[Camera]", "loop = maybe"], 2, ["loop = maybe", "yes or no"]),
    (["[Camera]", "idle_timeout = 5 lightyears"], 2, ["idle_timeout"]),
    (["[Camera]", "name = x"], 2, ["name"]),
    (["[Camera]", "rate = \x00"], 2, ["no text"]),
])
def test_configuration(tmp_path, lines, line, words):
    """The file and the line are named, and what would be right."""
    path = tmp_path / "camera.conf"
    path.write_text("\n".join(lines) + "\n")
    for more in ([], ["--check-config"]):
        done = camtapd("--source", "pattern:", "--config", path, "--socket", tmp_path / "socket", *more)
        refused(done, 2, f"{path}:{line}: ", *words)


def test_a_configuration_that_is_right(tmp_path):
    """--check-config says so, and starts nothing."""
    path = tmp_path / "camera.conf"
    path.write_text("[Camera]\nsource = pattern:\nsize = 640x480\n\n[Pool]\nslots = 10\n")
    done = camtapd("--config", path, "--name", "x", "--socket", tmp_path / "socket", "--check-config")
    done.check(0)
    assert done.error == ""
    assert os.listdir(tmp_path) == ["camera.conf"]


@pytest.mark.parametrize("options, words", [
    (["--memory-limit", "16M"], ["no memory for the pool", "53 MiB", "16 MiB", "--memory-limit", "--slots"]),
    (["--memory-limit", "16M", "--slots", "64"], ["(64 slots)", "16 MiB"]),
])
def test_too_little_memory(tmp_path, options, words):
    """Told at the start, with the sizes, not when the first reader comes."""
    refused(camtapd("--source", "pattern:", "--size", "1920x1080", "--pixel-format", "NV12",
                    "--socket", tmp_path / "socket", *options), 1, *words)


# ---- camtapd: sockets ----


def test_a_second_daemon_of_the_same_name(bench):
    """It is refused, and the first one goes on."""
    daemon = bench.daemon("--size", "320x240")
    refused(camtapd("--source", "pattern:", "--socket", daemon.socket), 1, daemon.socket,
            "serves this socket already")
    camtap("hz", "--socket", daemon.socket, "--count", 5).check()


def test_a_stale_socket_is_replaced(bench):
    """Whoever left it there."""
    directory = os.path.join(bench.directory, "stale")
    os.mkdir(directory)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as left:
        left.bind(os.path.join(directory, "socket"))
    bench.daemons.append(Daemon("--size", "320x240", directory=directory))
    bench.daemons[-1].wait_until_it_listens()
    camtap("hz", "--socket", bench.daemons[-1].socket, "--count", 2).check()


@pytest.mark.parametrize("path, words", [("/nonexistent/a/b/socket", "No such file"),
                                         ("/dev/null/socket", "Not a directory")])
def test_a_socket_that_cannot_be(path, words):
    refused(camtapd("--source", "pattern:", "--socket", path), 1, path, words)


# ---- camtap: usage ----


@pytest.mark.parametrize("arguments, words", [
    (["nonsense"], ["nonsense", "--help"]),
    (["hz", "--nonsense"], ["--nonsense", "camtap hz --help"]),
    (["hz", "a", "b"], ["b"]),
    (["hz", "--count", "0"], ["--count 0"]),
    (["hz", "--count", "-1"], ["--count -1"]),
    (["hz", "--count", "many"], ["--count many"]),
    (["hz", "--count"], ["--count", "needs a value"]),
    (["hz", "--timeout", "never"], ["--timeout never", "500ms"]),
    (["hz", "--output", "x"], ["--output"]),
    (["hz", "not/a/name"], ["not/a/name"]),
    (["list", "front"], ["front"]),
    (["info", "--count", "3"], ["--count"]),
    (["dump", "--format", "gif"], ["gif", "jpeg", "png", "ppm", "y4m", "raw"]),
    (["dump", "--quality", "101"], ["--quality 101", "1 to 100"]),
    (["dump", "--interval", "0"], ["--interval 0"]),
    (["dump", "--latest", "--lossless"], ["--latest", "--lossless"]),
    (["dump", "--output", "-", "--json"], ["--json", "--output"]),
    (["dump", "--output", "-", "--format", "png"], ["png", "--count 1"]),
    (["dump", "--output", "-", "--sidecar"], ["--sidecar"]),
])
def test_usage(arguments, words):
    done = camtap(*arguments).check_line(2, r"^camtap: ")
    for word in words:
        assert word in done.error, done.error
    assert done.output == b""


def test_help():
    """It is asked for: on standard output, status 0. It is not: on standard error, status 2."""
    assert b"usage: camtap COMMAND" in camtap("--help").check().output
    for command in ("list", "info", "hz", "dump"):
        done = camtap(command, "--help").check()
        assert f"usage: camtap {command}".encode() in done.output and done.error == ""
    done = run(CAMTAP).check(2)
    assert "usage: camtap COMMAND" in done.error and done.output == b""
    assert re.fullmatch(rb"camtap \d+\.\d+\.\d+\n", camtap("--version").check().output)
    assert re.fullmatch(rb"camtapd \d+\.\d+\.\d+\n", camtapd("--version").check().output)


# ---- camtap: which camera ----


class User:
    """Runs programs as an ordinary user (nobody, if the tests run as root) with a $XDG_RUNTIME_DIR of its
    own, where nothing of the system's /run is to be seen."""

    def __init__(self, bench):
        self.bench = bench
        self.runtime = os.path.join(bench.directory, "runtime")
        os.mkdir(self.runtime, 0o700)
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": self.runtime}
        self.environment.pop("CAMTAP_SOCKET", None)
        # /run is hidden, in a namespace of this command alone
        self.wrapper = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user",
                                                                         "--mount"]
        self.wrapper += ["sh", "-c", "mount -t tmpfs none /run && exec \"$@\"", "sh"]
        if os.geteuid() == 0:
            os.chown(self.runtime, NOBODY, NOBODY)
            self.wrapper += ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]

    def camtap(self, *arguments, **variables):
        return run(*self.wrapper, CAMTAP, *arguments, env={**self.environment, **variables},
                   cwd=self.runtime)

    def daemon(self, name):
        """A camera in the user's own directory, by the daemon's defaults."""
        process = subprocess.Popen(
            [*self.wrapper, CAMTAPD, "--source", "pattern:", "--size", "320x240", "--name", name],
            env=self.environment, stderr=subprocess.DEVNULL, cwd="/")
        path = os.path.join(self.runtime, "camtap", name, "socket")
        wait_for(lambda: os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode), "the socket")
        self.camtap("info", name).check()
        return process


@pytest.fixture
def user(bench):
    user = User(bench)
    processes = []
    start = user.daemon
    user.daemon = lambda name: processes.append(start(name)) or processes[-1]
    yield user
    for process in processes:
        process.terminate()
        assert process.wait(30) == 0


def test_no_camera(user):
    """Nothing is there: list says so and is content, the others fail and say how to get one."""
    listed = user.camtap("list").check()
    assert b"no cameras" in listed.output and listed.error == ""
    assert user.camtap("list", "--json").check().json() == {
        "schema": 1, "cameras": [], "devices": [], "media_controllers": [], "hidden_processes": 0,
    } or os.path.isdir("/sys/class/video4linux")
    for command in ("info", "hz", "dump"):
        done = user.camtap(command).check_line(1, "no camera")
        assert "camtapd --source pattern:" in done.error
        user.camtap(command, "front").check_line(1, "front|no camera")


def test_one_camera(user):
    """Its name can be left out."""
    user.daemon("front")
    listed = user.camtap("list", "--json").check().json()
    path = os.path.join(user.runtime, "camtap", "front", "socket")
    assert listed["cameras"] == [{"name": "front", "socket": path, "paused": None}]
    assert b"front" in user.camtap("list").check().output
    assert user.camtap("info", "--json").check().json()["camera"] == "front"
    assert user.camtap("hz", "--count", 3, "--json").check().json()["camera"] == "front"
    assert user.camtap("hz", "front", "--count", 3, "--json").check().json()["frames"] == 3
    done = user.camtap("info", "back").check_line(1, "there is no camera \"back\"")
    assert "front" in done.error


def test_two_cameras(user):
    """They have to be named; $CAMTAP_SOCKET does as well."""
    user.daemon("front")
    user.daemon("back")
    listed = user.camtap("list", "--json").check().json()
    assert [camera["name"] for camera in listed["cameras"]] == ["back", "front"]
    for command in ("info", "hz", "dump"):
        done = user.camtap(command).check_line(1, "several cameras")
        assert "back, front" in done.error
    for name in ("front", "back"):
        assert user.camtap("info", name, "--json").check().json()["camera"] == name
        path = os.path.join(user.runtime, "camtap", name, "socket")
        assert user.camtap("info", "--socket", path, "--json").check().json()["camera"] == name
        assert user.camtap("info", "--json", CAMTAP_SOCKET=path).check().json()["camera"] == name


def test_a_user_cleans_up(user):
    """SIGTERM: nothing of a camera is left in the user's directory."""
    user.daemon("front").terminate()
    directory = os.path.join(user.runtime, "camtap")
    wait_for(lambda: os.listdir(directory) == [], "the end")
    user.camtap("info", "front").check_line(1, "no camera")


def test_a_socket_that_is_not_there(bench):
    path = os.path.join(bench.directory, "nothing")
    camtap("info", "--socket", path).check_line(1, "there is no camera: is camtapd running")
    with open(path, "w"):
        pass
    camtap("info", "--socket", path, "--timeout", "1s").check_line(1, path)


def test_a_socket_that_may_not_be_opened(bench, user):
    """The socket's mode is its owner's and group's."""
    daemon = bench.daemon("--size", "320x240")
    assert stat.S_IMODE(os.stat(daemon.socket).st_mode) == 0o660
    if os.geteuid() != 0:
        os.chmod(daemon.socket, 0)
    user.camtap("hz", "--socket", daemon.socket).check_line(1, "permission denied")


# ---- camtap: no frame in time ----


@pytest.mark.parametrize("command", ["hz", "dump"])
def test_timeout(bench, tmp_path, command):
    """Status 3, and why there is nothing. A folder that was made for pictures goes again."""
    daemon = bench.daemon(source="exec:exec sleep 1000")
    arguments = ["--output", tmp_path / "out"] if command == "dump" else []
    done = camtap(command, "--socket", daemon.socket, "--timeout", "300ms", *arguments)
    done.check_line(3, "no frame for 300ms")
    assert os.listdir(tmp_path) == []


def test_timeout_while_a_camera_is_away(bench):
    """What it waits for is said while it waits."""
    daemon = bench.daemon("--wait", source="/dev/video99")
    daemon.expect_log("no such device")
    done = camtap("hz", "--socket", daemon.socket, "--timeout", "1500ms").check(3)
    assert re.search("waiting: .*no such device: /dev/video99", done.error)
    assert re.search("no frame for 1[.]5.*: no such device: /dev/video99", done.error.splitlines()[-1])


def test_no_answer(bench):
    """info of a daemon that stands still."""
    daemon = bench.daemon("--size", "320x240")
    daemon.signal(signal.SIGSTOP)
    done = camtap("info", "--socket", daemon.socket, "--timeout", "300ms")
    daemon.signal(signal.SIGCONT)
    assert done.status in (1, 3)
    assert re.fullmatch("camtap: .*no answer for 300ms.*\n", done.error), done.error


def test_a_stream_that_is_not_offered(bench):
    daemon = bench.daemon("--size", "320x240")
    done = camtap("hz", "--socket", daemon.socket, "--stream", "RGGB").check_line(
        1, "RGGB cannot be made of NV12 frames; what can is GREY, YU12"
    )
    assert done.output == b""


def test_lossless_is_for_recordings(bench, film, user):
    """A live feed waits for nobody but an administrator."""
    daemon = bench.daemon(source=f"exec:cat '{film}'")
    daemon.expect_log("lossless")
    daemon.let_in_everybody()
    if os.geteuid() == 0:
        user.camtap("hz", "--socket", daemon.socket, "--lossless").check_line(1, "camtap-admin")
    camtap("hz", "--socket", daemon.socket, "--lossless").check()


# ---- camtap dump: where it cannot write ----


def fill(bench, tmp_path, daemon, size, *options):
    """Dumps into a file system of `size` bytes, until it is full. What was left there is in
    tmp_path/out then."""
    folder, out = tmp_path / "full", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    script = ('size=$1 folder=$2; shift 2; mount -t tmpfs -o size="$size" none "$folder" || exit 99; '
              '"$@"; status=$?; cp -a "$folder/." "$OUT"; exit $status')
    return run(*unshare, "sh", "-c", script, "sh", size, folder, CAMTAP, "dump", "--socket",
               daemon.socket, "--lossless", "--output", folder, *options,
               env={**os.environ, "OUT": str(out)})


@pytest.mark.parametrize("form, sidecar", [("jpeg", False), ("jpeg", True), ("png", False), ("raw", True)])
def test_a_full_disk(bench, tmp_path, film, form, sidecar):
    """What is there under its name is whole, and there is nothing else."""
    daemon = bench.daemon("--rate", "0", source=f"file:{film}")
    options = ["--format", form, *(["--sidecar"] if sidecar else [])]
    done = fill(bench, tmp_path, daemon, "200k", *options)
    done.check_line(1, "No space left on device")
    assert "make room" in done.error
    files = sorted((tmp_path / "out").iterdir())
    pictures = [path for path in files if path.suffix != ".json"]
    assert pictures
    assert f"({len(pictures)} frames written)" in done.error
    wanted = recordings.split(film, tmp_path / "split")
    for path in pictures:
        content = path.read_bytes()
        if form in ("jpeg", "raw"):
            assert content == wanted[int(path.stem.rsplit("-", 1)[1]) - 1]
        else:
            assert content.endswith(b"IEND\xaeB`\x82")
        if sidecar:
            json.loads(path.with_suffix(".json").read_text())
    assert len(files) == len(pictures) * (2 if sidecar else 1)


def test_a_full_disk_under_a_stream(bench, tmp_path, film):
    """A Y4M file is cut back to whole frames."""
    daemon = bench.daemon("--rate", "0", source=f"file:{film}")
    fill(bench, tmp_path, daemon, "400k", "--format", "y4m").check_line(1, "No space left on device")
    file, = (tmp_path / "out").iterdir()
    _, frames = recordings.split_y4m(file.read_bytes())  # asserts that each is whole
    assert len(frames) == 2  # of 153,606 bytes


def test_a_disk_without_room_for_one(bench, tmp_path, film):
    daemon = bench.daemon("--rate", "0", source=f"file:{film}")
    fill(bench, tmp_path, daemon, "4k").check_line(1, "No space left on device")
    assert list((tmp_path / "out").iterdir()) == []


def test_places_that_cannot_be_written(bench, tmp_path, film, user):
    daemon = bench.daemon("--rate", "0", source=f"file:{film}")
    daemon.let_in_everybody()
    (tmp_path / "file").touch()
    for path, words in ((tmp_path / "file", "Not a directory"), (tmp_path / "file" / "x", "Not a directory"),
                        (tmp_path / "no" / "x", "No such file")):
        camtap("dump", "--socket", daemon.socket, "--output", path).check_line(1, words)
    done = user.camtap("dump", "--socket", daemon.socket, "--output", "/")
    done.check_line(1, "Permission denied|Read-only")
    full = run("sh", "-c", '"$@" > /dev/full', "sh", CAMTAP, "dump", "--socket", daemon.socket, "--output", "-")
    full.check_line(1, "No space left on device")
    for command in (["list"], ["info", "--socket", daemon.socket]):
        run("sh", "-c", '"$@" > /dev/full', "sh", CAMTAP, *command).check_line(1, "No space left on device")


def test_files_are_not_overwritten(bench, tmp_path):
    """Two dumps of the same frames into one folder cannot be: their times differ. A file that is there
    under the very name of a picture stays as it is."""
    film = recordings.mjpeg(tmp_path / "film.mjpeg", frames=2)
    daemon = bench.daemon("--rate", "0", source=f"file:{film}")
    for _ in range(3):
        camtap("dump", "--socket", daemon.socket, "--lossless", "--output", tmp_path / "out").check()
    assert len(list((tmp_path / "out").iterdir())) == 6


# ---- signals, and readers of the output that go away ----


def attached(daemon, name):
    """Waits for a reader that has had some frames."""
    wait_for(lambda: daemon.clients(name), name)
    goal = daemon.counters()["published"] + 10
    wait_for(lambda: daemon.counters()["published"] >= goal, "frames")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["hz", "dump"])
def test_interrupted(bench, tmp_path, command, number):
    """Ctrl-C asks for the summary: status 0, nothing on standard error."""
    daemon = bench.daemon("--size", "320x240", "--name", "front")
    arguments = ["--output", tmp_path / "out"] if command == "dump" else []
    process = Background(bench, command, "--socket", daemon.socket, *arguments)
    attached(daemon, f"camtap {command}")
    process.signal(number)
    done = process.done().check()
    assert done.error == ""
    text = done.output.decode()
    assert re.match(r"front: \d+ frames", text), text
    if command == "dump":
        files = list((tmp_path / "out").iterdir())
        assert f"front: {len(files)} frames written to {tmp_path}/out" in text
        assert all(path.read_bytes().endswith(b"\xff\xd9") for path in files)
    else:
        assert "latency" in text and "jitter" in text


def test_interrupted_before_the_first_frame(bench, tmp_path):
    daemon = bench.daemon(source="exec:exec sleep 1000")
    process = Background(bench, "dump", "--socket", daemon.socket, "--output", tmp_path / "out")
    wait_for(lambda: daemon.clients("camtap dump"), "the reader")
    process.signal(signal.SIGINT)
    assert "0 frames" in process.done().check().output.decode()
    assert os.listdir(tmp_path) == []


def test_interrupted_stream_ends_with_a_whole_frame(bench):
    daemon = bench.daemon("--size", "320x240")
    process = Background(bench, "dump", "--socket", daemon.socket, "--format", "y4m", "--output", "-")
    content = process.popen.stdout.read(320 * 240 * 3)
    process.signal(signal.SIGINT)
    content += process.popen.stdout.read()
    assert process.wait() == 0
    header, frames = recordings.split_y4m(content)  # asserts that each is whole
    assert frames and header.startswith(b"YUV4MPEG2 W320 H240 F60:1 ")


@pytest.mark.parametrize("arguments", [["dump", "--output", "-"],
                                       ["dump", "--output", "-", "--format", "y4m"], ["hz", "--count", "5"],
                                       ["info"]])
def test_a_reader_of_the_output_that_goes_away(bench, arguments):
    """`camtap dump --output - | head -c 1000`: silent, and by SIGPIPE."""
    daemon = bench.daemon("--size", "320x240")
    command, *options = arguments
    process = Background(bench, command, "--socket", daemon.socket, *options)
    if command == "dump":
        process.popen.stdout.read(1000)
    process.popen.stdout.close()
    assert process.wait() == -signal.SIGPIPE
    assert process.log() == ""


def test_head(bench):
    """The same in a shell."""
    daemon = bench.daemon("--size", "320x240")
    done = run("bash", "-c", '"$@" | head -c 1000; exit "${PIPESTATUS[0]}"', "bash", CAMTAP, "dump",
               "--socket", daemon.socket, "--output", "-")
    done.check(128 + signal.SIGPIPE)
    assert done.error == ""
    assert len(done.output) == 1000 and done.output.startswith(b"\xff\xd8\xff")


# ---- JSON is a contract ----


def check_types(value, wanted):
    """Each key that is wanted is there and has that type; there may be others."""
    if isinstance(wanted, dict):
        assert isinstance(value, dict)
        for key, inner in wanted.items():
            assert key in value, f"{key} is missing in {sorted(value)}"
            check_types(value[key], inner)
    elif isinstance(wanted, list):
        assert isinstance(value, list) and value
        for entry in value:
            check_types(entry, wanted[0])
    elif wanted is COUNT:
        assert isinstance(value, str) and re.fullmatch(r"\d+", value), value
    elif wanted is float:
        assert isinstance(value, (int, float)) and not isinstance(value, bool), value
    else:
        assert isinstance(value, wanted) and not (wanted is int and isinstance(value, bool)), value


COUNT = object()  # a 64-bit number in a string

INFO = {
    "schema": int, "camera": str, "state": str,
    "source": {"uri": str, "kind": str, "transfer": str},
    "streams": [{
        "stream": str,
        "epoch": COUNT,
        "format": {"fourcc": str, "width": int, "height": int},
        "counters": {key: COUNT for key in (
            "published", "dropped_driver", "corrupt", "pool_empty", "client_slow", "revoked")},
        "clients": [{"name": str, "pid": int, "uid": int, "leases": int, "missed": COUNT}],
    }],
}
HZ = {"schema": int, "camera": str, "frames": int, "missed": int, "fps": float,
      "latency_us": {"p50": float, "p90": float, "p99": float, "max": float}}


def test_info_json(bench):
    daemon = bench.daemon("--size", "320x240", "--name", "front")
    process = Background(bench, "hz", "--socket", daemon.socket)
    attached(daemon, "camtap hz")
    done = camtap("info", "--socket", daemon.socket, "--json").check()
    assert done.error == ""
    info = done.json()
    check_types(info, INFO)
    assert (info["schema"], info["camera"], info["state"]) == (1, "front", "streaming")
    stream = info["streams"][0]
    assert stream["stream"] == "native"
    assert (stream["format"]["width"], stream["format"]["height"]) == (320, 240)
    assert int(stream["counters"]["published"]) > 0
    client, = stream["clients"]
    assert (client["name"], client["pid"], client["uid"]) == ("camtap hz", process.pid, os.geteuid())
    text = camtap("info", "--socket", daemon.socket).check().output.decode()
    for word in ("front", "320x240", "camtap hz", str(process.pid), "zero-copy"):
        assert word in text, text
    process.signal(signal.SIGINT)
    process.done().check()


def test_hz_json(bench):
    daemon = bench.daemon("--size", "320x240", "--name", "front")
    done = camtap("hz", "--socket", daemon.socket, "--count", 20, "--json").check()
    assert done.error == ""
    measured = done.json()
    check_types(measured, HZ)
    assert (measured["schema"], measured["camera"], measured["frames"]) == (1, "front", 20)
    latency = measured["latency_us"]
    assert 0 <= latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"]
    assert measured["fps"] > 0
    text = camtap("hz", "--socket", daemon.socket, "--count", 20).check().output.decode()
    assert re.search(r"front: 20 frames in .* fps, missed \d+", text)


def test_dump_json(bench, tmp_path):
    daemon = bench.daemon("--size", "320x240", "--name", "front")
    done = camtap("dump", "--socket", daemon.socket, "--count", 5, "--json", "--output", tmp_path).check()
    summary = done.json()
    check_types(summary, {"schema": int, "camera": str, "frames": int, "missed": int, "revoked": int})
    assert (summary["schema"], summary["camera"], summary["frames"]) == (1, "front", 5)
    assert len(os.listdir(tmp_path)) == 5


# ---- a healthy run says nothing ----


def test_a_healthy_run_is_silent(bench):
    """Not a line above "info" (bench checks that, too), and exit status 0 for TERM and INT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        daemon = bench.daemon("--size", "320x240")
        camtap("hz", "--socket", daemon.socket, "--count", 5).check()
        daemon.signal(number)
        assert daemon.wait() == 0
        assert daemon.complaints() == []
