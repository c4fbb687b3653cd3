# SPDX-License-Identifier: MIT
"""The switch that turns a camera off for everybody: what it means when it is answered, who may use it, and that
it outlives the daemon. (tests/unit/test-capture.c has every state of the camera; tests/vm/pause.sh a device.)"""

import errno
import os
import pathlib
import signal
import socket
import struct
import subprocess
import time

import pytest
from camtap_command import CAMTAP, Background, camtap, run
from camtap_testing import (
    FORMAT, HELLO, MODE_OBSERVE, MODE_READ, SET_PAUSED, SOURCE, STATUS, WELCOME, Connection, Daemon,
    build_path, is_sanitized, wait_for,
)
from loop_reader import LoopReader

CONTROLS = 5
FEATURE_CONTROLS, FEATURE_PAUSE = 1 << 2, 1 << 3
SOURCE_PAUSED = 3  # enum wire_source_state
PROTOCOL = 2  # enum wire_code
NOBODY = 65534
GONE = "v4l2:/nonexistent/video0"  # with --wait


class Client(Connection):
    """A client that may ask for the feature."""

    def __init__(self, daemon, features=FEATURE_PAUSE | FEATURE_CONTROLS, mode=MODE_OBSERVE, stream=b""):
        super().__init__(daemon.socket, hello=False)
        self.send(HELLO, struct.pack("=IIQII72s128s", 1, 1, features, mode, 0, b"pause", stream))
        payload, _ = self.expect(WELCOME)
        self.granted = struct.unpack_from("=Q", payload, 8)[0] & FEATURE_PAUSE

    def ask(self, paused, token=1):
        self.send(SET_PAUSED, struct.pack("=QII", token, paused, 0))

    def answer(self):
        """(token, errno, text)"""
        payload, fds = self.expect(SET_PAUSED)
        assert not fds
        token, error, _, text = struct.unpack("=QiI512s", payload)
        return token, error, text.split(b"\0")[0].decode()

    def switch(self, paused, token=1):
        self.ask(paused, token)
        return self.answer()

    def source(self):
        """(state, since, text) of the next SOURCE."""
        payload, _ = self.expect(SOURCE)
        state, _, since, text = struct.unpack("=Iiq512s", payload)
        return state, since, text.split(b"\0")[0].decode()

    def source_until(self, state):
        while True:
            source = self.source()
            if source[0] == state:
                return source


def kept(daemon):
    """The file that keeps it."""
    return pathlib.Path(os.path.dirname(daemon.socket), "state", "paused")


@pytest.fixture
def directory(bench):
    path = os.path.join(bench.directory, "d")
    os.mkdir(path, 0o755)
    return path


def start(bench, directory, *arguments, **more):
    """A daemon, always on the same socket, with what the one before has left."""
    bench.daemons.append(Daemon(*arguments, directory=directory, **more))
    return bench.daemons[-1].wait_until_it_listens()


def hold(daemon):
    """Stops it, for messages to pile up. SIGCONT lets it go on."""
    daemon.signal(signal.SIGSTOP)
    wait_for(lambda: pathlib.Path(f"/proc/{daemon.pid}/stat").read_text().split(") ")[1][0] in "Tt", "the stop")


def published(daemon):
    return {stream["stream"]: int(stream["counters"]["published"]) for stream in daemon.status()["streams"]}


# ---- what the answer means ----


def test_when_it_is_answered_it_is_off(bench):
    """Of the native stream, and of derived ones, whose threads have frames in hand: none comes after the answer."""
    daemon = bench.daemon("--size", "1280x720", "--rate", "0", "--pixel-format", "YUYV")
    readers = [bench.program("stream-reader", "--socket", daemon.socket, *more) for more in
               ((), ("--stream", "BGR3:640x360"), ("--stream", "GREY"), ("--stream", "NV12:320x180,rate=200"))]
    wait_for(lambda: len(published(daemon)) == 4, "all streams")
    with Client(daemon) as client:
        for _ in range(15):
            before = published(daemon)
            wait_for(lambda: all(count > before[name] for name, count in published(daemon).items()), "frames")
            assert client.switch(1)[1] == 0
            after = published(daemon)
            status = daemon.status()
            assert status["state"] == "paused" and "paused by " in status["reason"]
            assert all(stream["pool"] is None for stream in status["streams"])
            time.sleep(0.02)  # for what must not come
            assert published(daemon) == after
            assert client.switch(0)[1] == 0
    for reader in readers:
        assert reader.finish()["frames"] > 0


def test_the_answer_waits_until_the_source_is_closed(bench, tmp_path):
    """A command that does not want to end takes its time. The others are served meanwhile."""
    pid = tmp_path / "pid"
    daemon = bench.daemon("--raw", "GREY:64x48,rate=60", "--always-on",
                          source=f"exec:echo $$ > {pid}; trap '' TERM; cat /dev/zero; sleep 1000")
    wait_for(lambda: daemon.counters()["published"] > 0, "frames")
    with Client(daemon) as client:
        client.ask(1)
        assert daemon.status()["state"] == "streaming"
        assert client.answer()[1] == 0
        assert not os.path.exists(f"/proc/{pid.read_text().strip()}")
        assert daemon.status()["state"] == "paused"


def test_readers_stay_and_are_told_and_go_on(bench, directory):
    """What they hold stays as it was; the frames that come again are of a new epoch."""
    daemon = start(bench, directory, "--size", "320x240", "--rate", "60")
    readers = [LoopReader(bench, daemon.socket, *way)
               for way in (("epoll", "bell"), ("glib", "messages"))]
    epochs = [reader.expect("epoch").values["epoch"] for reader in readers]
    held = [reader.ask("hold 1", "held") for reader in readers]
    for _ in range(5):
        camtap("pause", "--socket", daemon.socket).check()
        for reader in readers:
            assert reader.expect("outcome", what="paused").text.startswith("paused by ")
        camtap("resume", "--socket", daemon.socket).check()
        for i, reader in enumerate(readers):
            epoch = reader.expect("epoch").values["epoch"]
            assert epoch != epochs[i]
            epochs[i] = epoch
            reader.expect("outcome", what="discontinuity")
            reader.expect("outcome", what="online")
            reader.await_frames(3)
    for reader, frame in zip(readers, held):
        check, = reader.check()
        assert (check["hash"], check["torn"], check["result"]) == (frame["hash"], 0, 0)
        assert [released["result"] for released in reader.release(1)] == [0]
        assert reader.outcomes() == []
        assert reader.report()["torn"] == 0
        reader.quit()


def test_who_comes_while_it_is_off_is_told_at_once(bench):
    daemon = bench.daemon()
    with Client(daemon) as client, Client(daemon) as watcher:
        assert client.switch(1)[1] == 0
        again = watcher.source_until(SOURCE_PAUSED)
        assert again[2].startswith("paused by ")
        # idempotent: it is the first who is named, and the first time
        time.sleep(0.01)
        assert client.switch(1, 2) == (2, 0, "")
        for mode, stream in ((MODE_READ, b""), (MODE_READ, b"GREY:64x48"), (MODE_OBSERVE, b"")):
            with Client(daemon, mode=mode, stream=stream) as other:
                assert other.source() == again
                other.send(STATUS)
                kind = None
                while kind != STATUS:  # and no FORMAT before
                    kind, _, fds = other.receive()
                    assert kind != FORMAT
                    for fd in fds:
                        os.close(fd)
        with Client(daemon, mode=MODE_READ) as reader:
            assert reader.source()[0] == SOURCE_PAUSED
            assert client.switch(0)[1] == 0
            reader.expect(FORMAT)
        assert client.switch(0, 3) == (3, 0, "")


def test_always_on_or_not_it_is_off_and_on(bench):
    daemon = bench.daemon("--always-on")
    wait_for(lambda: daemon.counters()["published"] > 0, "frames")
    with Client(daemon) as client:
        assert client.switch(1)[1] == 0
        assert daemon.status()["state"] == "paused"
        assert client.switch(0)[1] == 0
        before = daemon.counters()["published"]
        wait_for(lambda: daemon.counters()["published"] > before, "frames")


def test_a_recording_begins_anew(bench, tmp_path):
    """In the middle, and after its end."""
    file = tmp_path / "short.y4m"
    file.write_bytes(b"YUV4MPEG2 W16 H16 F200:1 Ip C420jpeg\n" + 60 * (b"FRAME\n" + bytes(384)))
    daemon = bench.daemon(source=f"file:{file}")
    with Client(daemon, mode=MODE_READ) as reader, Client(daemon) as client:
        reader.expect(FORMAT)
        for _ in range(2):
            assert client.switch(1)[1] == 0
            assert daemon.status()["state"] == "paused"
            assert client.switch(0)[1] == 0
            reader.expect(FORMAT)
        # the bare reader never says READY: the camera waits for one that does
        loop = LoopReader(bench, daemon.socket)
        loop.expect("outcome", what="ended")
        assert client.switch(1)[1] == 0
        loop.expect("outcome", what="paused")
        assert client.switch(0)[1] == 0
        loop.expect("outcome", what="ended")
        loop.quit()


def test_without_a_device_too(bench):
    """In the back-off. Nothing looks for the device while it is off, and controls do not open it."""
    daemon = bench.daemon("--wait", source=GONE)
    daemon.expect_log("no such device")
    with Client(daemon, mode=MODE_READ) as client:
        wait_for(lambda: daemon.status()["state"] == "offline", "the back-off")
        assert client.switch(1)[1] == 0
        assert daemon.status()["state"] == "paused"
        client.send(CONTROLS, struct.pack("=Q", 5))
        payload, _ = client.expect(CONTROLS)
        _, _, error, _, text = struct.unpack("=QQiI512s", payload)
        assert error == errno.EBUSY and text.startswith(b"paused by ")
        camtap("ctl", "--socket", daemon.socket, "gain=1").check_line(1, "paused by ")
        logged = daemon.log()
        time.sleep(0.3)
        assert daemon.log() == logged
        assert client.switch(0)[1] == 0
        wait_for(lambda: daemon.status()["state"] == "offline", "the back-off")


# ---- it outlives the daemon ----


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGTERM])
def test_it_stays_off_over_restarts(bench, directory, way):
    """And the source is not opened even once; readers that re-attach do not wake it."""
    opened = os.path.join(directory, "opened.log")
    arguments = ["--raw", "GREY:64x48,rate=60", "--always-on"]
    source = f"exec:echo >> {opened}; cat /dev/zero"
    daemon = start(bench, directory, *arguments, source=source)
    reader = LoopReader(bench, daemon.socket)
    reader.expect("epoch")
    camtap("pause", "--socket", daemon.socket).check()
    reader.expect("outcome", what="paused")
    os.unlink(opened)
    said = daemon.status()
    for _ in range(3):
        daemon.signal(way)
        daemon.wait()
        daemon = start(bench, directory, *arguments, source=source)
        wait_for(lambda: daemon.stream()["clients"], "the reader")
        status = daemon.status()
        assert [status[key] for key in ("state", "reason", "since_realtime_ns")] == \
            ["paused", said["reason"], said["since_realtime_ns"]]
        with Client(daemon, mode=MODE_READ) as client:
            assert client.source()[0] == SOURCE_PAUSED
    time.sleep(0.3)
    assert not os.path.exists(opened)
    camtap("resume", "--socket", daemon.socket).check()
    reader.expect("epoch")
    reader.await_frames(3)
    assert os.path.exists(opened)
    daemon.signal(way)
    daemon.wait()
    daemon = start(bench, directory, *arguments, source=source)
    reader.expect("epoch")
    reader.await_frames(3)
    reader.quit()


def test_a_paused_camera_is_not_tried_at_start(bench, directory):
    """Without --wait, a device that is missing is an error at start; but nobody looks."""
    os.mkdir(os.path.join(directory, "state"))
    file = pathlib.Path(directory, "state", "paused")
    file.write_text("")  # by hand
    daemon = start(bench, directory, source=GONE)
    assert daemon.status()["reason"] == f"paused, as {file} says"
    daemon.expect_log("no such device")
    camtap("resume", "--socket", daemon.socket).check()
    assert daemon.status()["state"] == "idle"
    assert not file.exists()


def test_a_file_that_cannot_be_read_keeps_it_off(bench, directory):
    os.makedirs(os.path.join(directory, "state", "paused", "not-empty"))
    daemon = start(bench, directory, "--always-on")
    assert "cannot be read: Is a directory" in daemon.status()["reason"]
    # it is on then, but that cannot be kept
    camtap("resume", "--socket", daemon.socket).check_line(
        1, "camera is on, but when camtapd is started again it will be off: .*paused: Is a directory")
    wait_for(lambda: daemon.counters()["published"] > 0, "frames")


def test_a_disk_that_cannot_be_written_is_said(bench, directory):
    """Off first: the answer is an error, and the camera is off."""
    daemon = start(bench, directory, "--always-on", environment={"STATE_DIRECTORY": "/proc/1/nowhere"})
    wait_for(lambda: daemon.counters()["published"] > 0, "frames")
    with Client(daemon) as client:
        for _ in range(2):
            _, error, text = client.switch(1)
            assert error == errno.EIO
            assert "camera is off, but when camtapd is started again it will be on: /proc/1/nowhere/paused" in text
            assert daemon.status()["state"] == "paused"
        assert client.switch(0)[1:] == (0, "")  # there is nothing to remove
    wait_for(lambda: daemon.status()["state"] == "streaming", "frames")


def test_where_it_is_kept(bench, directory, tmp_path):
    """Without systemd: in the user's state directory. A home that is somebody else's has nothing of ours."""
    if os.geteuid() != 0:  # only root can be somebody else
        return
    os.chown(directory, NOBODY, NOBODY)
    state = pathlib.Path(directory, "home")
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "env", "-u", "STATE_DIRECTORY"]
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    for home, where in ((["XDG_STATE_HOME=" + str(state)], state / "camtap" / "front" / "paused"),
                        (["-u", "XDG_STATE_HOME", "HOME=" + str(state)],
                         state / ".local" / "state" / "camtap" / "front" / "paused"),
                        (["-u", "XDG_STATE_HOME", "HOME=" + str(private)], None)):
        for again in range(2):
            daemon = start(bench, directory, "--name", "front", wrapper=[*user, *home])
            assert daemon.status()["state"] == ("paused" if again and where else "idle")
            done = camtap("pause", "--socket", daemon.socket)
            if where:
                done.check()
                assert where.read_text().startswith("paused by ")
            else:
                done.check_line(1, "camera is off, but .*Permission denied")
            assert not kept(daemon).exists()
            daemon.signal(signal.SIGKILL)
            daemon.wait()


# ---- who may, and what may be asked ----


def test_who_may_not_changes_nothing(bench):
    if os.geteuid() != 0:  # only root can be somebody else
        return
    daemon = bench.daemon("--always-on")
    daemon.let_in_everybody()
    other = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", CAMTAP]
    wait_for(lambda: daemon.counters()["published"] > 0, "frames")
    run(*other, "pause", "--socket", daemon.socket).check_line(1, "group camtap-admin")
    assert daemon.status()["state"] == "streaming"
    assert not kept(daemon).exists()
    camtap("pause", "--socket", daemon.socket).check()
    run(*other, "resume", "--socket", daemon.socket).check_line(1, "group camtap-admin")
    assert daemon.status()["state"] == "paused"
    assert kept(daemon).exists()
    own = bench.daemon(uid=NOBODY)
    own.let_in_everybody()
    run(*other, "pause", "--socket", own.socket).check()
    assert f"(uid {NOBODY})" in own.status()["reason"]
    assert os.stat(kept(own)).st_uid == NOBODY


def test_standard_input_cannot_be_paused(bench):
    daemon = bench.daemon(source="-")
    with Client(daemon) as client:
        _, error, text = client.switch(1)
        assert error == errno.EOPNOTSUPP and "standard input" in text
        assert client.switch(0)[1] == 0
    assert not kept(daemon).exists()


def test_wrong_messages_end_the_connection(bench):
    daemon = bench.daemon()
    daemon.expect_log("SET_PAUSED|unknown type|size is not its length|too many messages")
    with Client(daemon, features=FEATURE_CONTROLS) as client:
        assert not client.granted
        client.ask(1)
        assert client.end() == (PROTOCOL, "a message of an unknown type")
    for payload in (b"", bytes(15), struct.pack("=QII", 1, 2, 0), struct.pack("=QII", 1, 2**32 - 1, 0)):
        with Client(daemon) as client:
            assert client.granted
            client.send(SET_PAUSED, payload)
            assert client.end()[0] == PROTOCOL
    assert daemon.status()["state"] == "idle"
    with Client(daemon) as client:  # of a later version
        client.send(SET_PAUSED, struct.pack("=QII", 7, 0, 2**32 - 1) + b"more")
        assert client.answer() == (7, 0, "")
    with Client(daemon) as client:  # the second before the first is answered
        hold(daemon)
        client.ask(0)
        client.ask(0)
        daemon.signal(signal.SIGCONT)
        assert client.end()[0] == PROTOCOL
    with Client(daemon) as client:
        assert client.switch(0)[1] == 0
    wait_for(lambda: daemon.status()["state"] == "idle", "no pause")


def test_who_is_overtaken_is_told(bench):
    """Two want the opposite at once: the later one has it, the other hears so, if it was not done yet."""
    daemon = bench.daemon()
    overtaken = 0
    with Client(daemon) as off, Client(daemon) as on:
        for _ in range(20):
            hold(daemon)
            off.ask(1)
            on.ask(0)
            daemon.signal(signal.SIGCONT)
            errors = {"paused": off.answer()[1], "idle": on.answer()[1]}
            overtaken += errno.ECANCELED in errors.values()
            assert sorted(errors.values()) in ([0, 0], [0, errno.ECANCELED])
            state = daemon.status()["state"]
            assert errors[state] == 0
            assert kept(daemon).exists() == (state == "paused")
    assert overtaken > 0


def test_clients_that_do_not_wait_leave_nothing(bench):
    daemon = bench.daemon("--max-clients", "1000", "--max-clients-per-uid", "1000")
    with Client(daemon) as steady:
        steady.switch(0)
        fds, memory = daemon.fd_count(), None
        for number in range(600):
            with Client(daemon) as client:
                client.ask(number % 2)
            if number == 300:
                memory = daemon.memory()
        assert steady.switch(0)[1] in (0, errno.ECANCELED)
        wait_for(lambda: daemon.fd_count() <= fds, "their fds are closed")
        # a sanitizer keeps what is freed
        assert is_sanitized() or daemon.memory() < memory + (1 << 20)
        assert steady.switch(1)[1] == 0
        assert daemon.status()["state"] == "paused" and kept(daemon).exists()


def test_a_storm_of_switches(bench):
    """Several at a time, under readers. Whoever is told that it is off may rely on that until somebody
    switches it on; in the end the camera, and the file, are as the last one wanted."""
    daemon = bench.daemon("--size", "320x240")
    readers = [LoopReader(bench, daemon.socket) for _ in range(2)]
    for reader in readers:
        reader.expect("epoch")
    with Client(daemon) as alice, Client(daemon) as bob, Client(daemon) as carol:
        for number in range(200):
            paused = number // 2 % 2
            alice.ask(paused)
            bob.ask(1 - paused)
            if number % 3 == 0:
                carol.ask(1)
            for client in (alice, bob, *((carol,) if number % 3 == 0 else ())):
                assert client.answer()[1] in (0, errno.ECANCELED)
        assert alice.switch(1)[1] == 0
        assert daemon.status()["state"] == "paused" and kept(daemon).exists()
        count = daemon.counters()["published"]
        time.sleep(0.05)
        assert daemon.counters()["published"] == count
        assert alice.switch(0)[1] == 0
        assert not kept(daemon).exists()
    for reader in readers:
        reader.await_frames(3)
        assert reader.report()["torn"] == 0
        reader.quit()


# ---- the commands ----


def test_commands_wait_while_it_is_off(bench):
    daemon = bench.daemon()
    camtap("pause", "--socket", daemon.socket).check()
    assert b"pattern: paused by " in camtap("info", "--socket", daemon.socket).check().output
    done = camtap("hz", "--socket", daemon.socket, "--timeout", "100ms").check_line(3, "paused by .* since 20")
    assert done.output == b""
    dump = Background(bench, "dump", "--socket", daemon.socket, "--count", "2", "--output",
                      os.path.join(bench.directory, "out"))
    wait_for(lambda: "waiting: paused by " in dump.log(), "the reason")
    camtap("resume", "--socket", daemon.socket).check()
    dump.done().check()
    camtap("pause", "--socket", "/nonexistent/socket").check_line(1, "no camera")


def test_the_list_says_so_without_a_word_to_the_daemon(bench, directory):
    """Where a service or a user has it; other directories are not looked for."""
    sockets, state = os.path.join(directory, "camtap"), os.path.join(directory, "state")
    environment = {**os.environ, "XDG_RUNTIME_DIR": directory, "XDG_STATE_HOME": state}
    home = os.path.join(sockets, "front")
    os.makedirs(home)
    daemon = start(bench, home, "--name", "front",
                   environment={"STATE_DIRECTORY": os.path.join(state, "camtap", "front")})

    def listed():
        cameras = {camera["name"]: camera for camera in
                   camtap("list", "--json", env=environment).check().json()["cameras"]}
        return cameras["front"]["paused"], camtap("list", env=environment).check().output.decode()

    paused, text = listed()
    assert paused is None and "paused" not in text
    camtap("pause", "front", env=environment).check()
    hold(daemon)
    paused, text = listed()
    assert paused.startswith("paused by ") and f"\n    {paused}\n" in text
    daemon.signal(signal.SIGCONT)
    assert daemon.status()["reason"] == paused


def test_a_daemon_that_is_started_by_its_socket_is_paused_too(bench, tmp_path):
    """Socket activation: the command is its first client, and starts no camera."""
    path, opened = str(tmp_path / "socket"), tmp_path / "opened"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen()
    command = subprocess.Popen([CAMTAP, "pause", "--socket", path])
    environment = {**os.environ, "LISTEN_FDS": "1", "STATE_DIRECTORY": str(tmp_path / "state")}
    daemon = subprocess.Popen(
        ["bash", "-c", f'exec 3<&{listener.fileno()}; LISTEN_PID=$$ exec "$0" "$@"', build_path("daemon/camtapd"),
         "--name", "front", "--raw", "GREY:64x48", "--source", f"exec:touch {opened}; cat /dev/zero"],
        env=environment, pass_fds=[listener.fileno()])
    try:
        assert command.wait(30) == 0
        assert (tmp_path / "state" / "paused").exists()
        with Connection(path, mode=MODE_READ) as reader:
            reader.expect(WELCOME)
            assert struct.unpack_from("=I", reader.expect(SOURCE)[0])[0] == SOURCE_PAUSED
        assert not opened.exists()
    finally:
        daemon.terminate()
        assert daemon.wait(30) == 0
        listener.close()
