# SPDX-License-Identifier: MIT
"""What the tests of real programs share: a daemon, the helper programs, and patience.

CAMTAP_BUILD names the build directory (daemon/camtapd, client/cli/camtap,
tests/integration/programs/*).
"""

import array
import atexit
import ctypes
import json
import pathlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

BUILD = os.environ.get("CAMTAP_BUILD", "build")
PATIENCE = 30.0  # seconds: what takes longer has failed
SANITIZER = re.compile(r"(Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer|runtime error:")


def _reachable_by_others(path):
    return all(os.stat(folder).st_mode & 0o001 for folder in [path, *pathlib.Path(path).parents])


def _stage():
    """Where the programs are run from. Tests that are run by root run some as another user, too, who cannot
    reach a build below, say, /root: then they are copied."""
    build = os.path.abspath(BUILD)
    if os.geteuid() != 0 or not os.path.isdir(build) or _reachable_by_others(build):
        return build
    staged = tempfile.mkdtemp(prefix="camtap-build-", dir="/var/tmp")  # /tmp is hidden in some tests
    atexit.register(shutil.rmtree, staged, ignore_errors=True)
    os.chmod(staged, 0o755)
    for pattern in ("daemon/camtapd", "client/libcamtap.so*", "client/cli/camtap",
                    "tests/integration/programs/*"):
        for file in pathlib.Path(build).glob(pattern):
            if file.is_file():
                target = pathlib.Path(staged) / file.relative_to(build)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, target, follow_symlinks=False)
    return staged


STAGED = _stage()


def build_path(name):
    """A file of the build directory: "daemon/camtapd"."""
    staged = os.path.join(STAGED, name)
    return staged if os.path.exists(staged) else os.path.join(os.path.abspath(BUILD), name)


def program_path(name):
    """One of tests/integration/programs."""
    return build_path(os.path.join("tests/integration/programs", name))


def is_sanitized():
    """Was the daemon built with AddressSanitizer or ThreadSanitizer?"""
    with open(build_path("daemon/camtapd"), "rb") as file:
        content = file.read()
    return b"__asan_init" in content or b"__tsan_init" in content


def wait_for(condition, what, timeout=PATIENCE, interval=0.005):
    """Returns the first true value of condition(), looked at again and again."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {timeout:g} s"
        time.sleep(interval)


def make_directory():
    """A directory that others may enter, with a path short enough for a socket's."""
    path = tempfile.mkdtemp(prefix="camtap-")
    if len(path) > 60:
        os.rmdir(path)
        path = tempfile.mkdtemp(prefix="camtap-", dir="/tmp")
    os.chmod(path, 0o755)
    return path


def _environment():
    environment = dict(os.environ)
    for name, value in (
        ("ASAN_OPTIONS", "quarantine_size_mb=4:detect_leaks=1:abort_on_error=0"),
        ("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1"),
    ):
        environment[name] = ":".join(filter(None, (value, environment.get(name))))
    return environment


class Process:
    """A program under test. Standard error goes into a file; .log() reads it."""

    def __init__(self, arguments, directory, wrapper=(), nice=0, pass_fds=(), environment=None):
        self.name = os.path.basename(arguments[0])
        self._log = tempfile.NamedTemporaryFile(
            dir=directory, prefix=self.name + "-", suffix=".log", delete=False
        )
        self.popen = subprocess.Popen(
            [*wrapper, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**_environment(), **(environment or {})},
            pass_fds=pass_fds,
            preexec_fn=(lambda: _try_nice(nice)) if nice else None,
        )
        self.pid = self.popen.pid

    def log(self):
        with open(self._log.name, errors="backslashreplace") as file:
            return file.read()

    def wait(self, timeout=PATIENCE):
        """Its exit status."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} has not ended in {timeout:g} s: {self.log()}")

    def signal(self, number):
        self.popen.send_signal(number)

    def kill(self):
        """Without a word; for the end of a test."""
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        for file in (self.popen.stdin, self.popen.stdout, self._log):
            try:
                file.close()
            except BrokenPipeError:  # a question that it did not live to read
                pass

    def check_sanitizer(self):
        assert not SANITIZER.search(self.log()), self.log()


def _try_nice(increment):
    try:
        os.nice(increment)
    except PermissionError:
        pass


class Program(Process):
    """A helper program that talks in lines on standard output, JSON mostly."""

    def line(self, timeout=PATIENCE):
        """The next line."""
        with alarm(timeout, f"{self.name}: no line"):
            line = self.popen.stdout.readline()
        assert line, f"{self.name} has ended, status {self.popen.wait()}: {self.log()}"
        return line.decode().rstrip("\n")

    def ready(self, timeout=PATIENCE):
        """Waits for the line "ready"."""
        line = self.line(timeout)
        assert line == "ready", line
        return self

    def ask(self, timeout=PATIENCE):
        """Sends an empty line, returns the answer (JSON)."""
        try:
            self.popen.stdin.write(b"\n")
            self.popen.stdin.flush()
        except BrokenPipeError:
            raise AssertionError(f"{self.name} has ended, status {self.popen.wait()}: {self.log()}")
        return json.loads(self.line(timeout))

    def finish(self, status=0, timeout=PATIENCE):
        """Closes its standard input, then as result()."""
        self.popen.stdin.close()
        return self.result(status, timeout)

    def result(self, status=0, timeout=PATIENCE):
        """Waits for its end, returns its last line (JSON)."""
        last = None
        with alarm(timeout, f"{self.name} has not ended"):
            for line in self.popen.stdout:
                last = line
        assert self.wait(timeout) == status, f"{self.name}: {self.log()}"
        self.check_sanitizer()
        return json.loads(last) if last else None


class alarm:
    """Raises AssertionError in its block after some seconds. Nests: the sooner one wins."""

    def __init__(self, seconds, what):
        self.seconds, self.what = seconds, what

    def __enter__(self):
        self.start = time.monotonic()
        self.handler = signal.signal(signal.SIGALRM, self._ring)
        self.outer, _ = signal.setitimer(signal.ITIMER_REAL, self.seconds)
        if 0 < self.outer < self.seconds:
            signal.setitimer(signal.ITIMER_REAL, self.outer)

    def __exit__(self, *_):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.handler)
        if self.outer:
            left = self.outer - (time.monotonic() - self.start)
            signal.setitimer(signal.ITIMER_REAL, max(left, 0.001))

    def _ring(self, *_):
        raise AssertionError(f"{self.what} within {self.seconds:g} s")


class Tracer:
    """Stops one thread of a process, as a debugger does."""

    SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17

    def __init__(self, thread):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        self.thread = thread
        self._do(self.SEIZE)
        self._do(self.INTERRUPT)
        wait_for(lambda: self._state() == "t", "the thread has stopped")

    def _do(self, request):
        assert self.libc.ptrace(request, self.thread, None, None) == 0, os.strerror(ctypes.get_errno())

    def _state(self):
        os.waitpid(self.thread, os.WNOHANG | 0x40000000)  # __WALL
        with open(f"/proc/{self.thread}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0]

    def go_on(self):
        self._do(self.DETACH)


# ---- the protocol's frame, see proto/wire.h ----

HELLO, READY, RELEASED, STATUS = 1, 2, 3, 4
SET_PAUSED = 7
WELCOME, REFUSED, FORMAT, FRAME, SOURCE, BYE = 16, 17, 18, 19, 20, 21
MODE_READ, MODE_OBSERVE, MODE_LOSSLESS = 0, 1, 2


class Connection:
    """A client of the bare protocol."""

    def __init__(self, path, mode=MODE_OBSERVE, name="test", hello=True, stream=""):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.connect(path)
        except BaseException:
            self.socket.close()
            raise
        if hello:
            self.send(HELLO, struct.pack("=IIQII72s128s", 1, 1, 0, mode, 0, name.encode(),
                                         stream.encode()))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, kind, payload=b""):
        self.socket.send(struct.pack("=IIII", kind, 16 + len(payload), 0, 0) + payload)

    def receive(self):
        """(type, payload, fds) of the next message; (None, b"", []) at hang-up."""
        message, control, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(8))
        fds = array.array("i")
        for _, _, data in control:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
        if not message:
            return None, b"", []
        return struct.unpack_from("=I", message)[0], message[16:], list(fds)

    def expect(self, kind):
        """(payload, fds) of the next message of this type; others are thrown away."""
        while True:
            seen, payload, fds = self.receive()
            if seen == kind:
                return payload, fds
            assert seen is not None, "the daemon has hung up"
            for fd in fds:
                os.close(fd)

    def end(self):
        """Waits for the hang-up: (code, text) of BYE, None if there was no room for it."""
        last = None
        while True:
            try:
                kind, payload, fds = self.receive()
            except ConnectionResetError:
                continue  # what it said before is still to be read
            for fd in fds:
                os.close(fd)
            if kind is None:
                return last
            if kind == BYE:
                last = struct.unpack_from("=I", payload)[0], payload[8:].split(b"\0")[0].decode()

    def status(self):
        """The status document."""
        self.send(STATUS)
        payload, fds = self.expect(STATUS)
        try:
            return json.loads(os.pread(fds[0], struct.unpack_from("=Q", payload)[0], 0))
        finally:
            os.close(fds[0])


class Daemon(Process):
    """camtapd on a socket of its own."""

    def __init__(self, *arguments, directory, source="pattern:", **more):
        self.socket = os.path.join(directory, "socket")
        super().__init__(
            [
                build_path("daemon/camtapd"),
                "--socket",
                self.socket,
                "--source",
                source,
                *arguments,
            ],
            directory,
            # not the machine's, where a camera of that name may be paused
            environment={"STATE_DIRECTORY": os.path.join(directory, "state"),
                         **(more.pop("environment", None) or {})},
            **more,
        )
        # some tests make clients come and go by the thousand
        self._expected = [re.compile("lines about clients of .* were left out")]

    def wait_until_it_listens(self):
        wait_for(self._accepts, "the daemon's socket")
        return self

    def _accepts(self):
        assert self.popen.poll() is None, f"the daemon has ended: {self.log()}"
        try:
            Connection(self.socket, hello=False).close()
        except OSError:
            return False
        return True

    def let_in_everybody(self):
        os.chmod(self.socket, 0o666)

    # what it says of itself

    def status(self):
        with Connection(self.socket) as connection:
            return connection.status()

    def stream(self):
        """The native stream's part of the status."""
        return self.status()["streams"][0]

    def counters(self):
        return {name: int(value) for name, value in self.stream()["counters"].items()}

    def clients(self, name):
        """The readers of that name."""
        return [client for client in self.stream()["clients"] if client["name"] == name]

    # what the kernel says of it

    def fd_count(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def thread_count(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def mapping_count(self, name):
        with open(f"/proc/{self.pid}/maps") as file:
            return sum(name in line for line in file)

    def memory(self):
        """Bytes of memory that are its own, and its share of the others' (Pss)."""
        with open(f"/proc/{self.pid}/smaps_rollup") as file:
            return 1024 * int(re.search(r"^Pss:\s+(\d+) kB", file.read(), re.M).group(1))

    # what it logs: nothing above "info", but for what the test expects

    def expect_log(self, pattern):
        """Lines that match are no surprise."""
        self._expected.append(re.compile(pattern))

    def complaints(self):
        """The lines of the log that are more than information."""
        return [line for line in self.log().splitlines() if not re.match(r"<[67]>", line)]

    def stop(self, status=0):
        """SIGTERM: it must end well and have said nothing unexpected."""
        self.signal(signal.SIGTERM)
        assert self.wait() == status, self.log()
        self.check_sanitizer()
        for line in self.complaints():
            assert any(pattern.search(line) for pattern in self._expected), line
        assert not os.path.exists(self.socket)


class Bench:
    """Everything that one test starts; all of it is gone afterwards, whatever happens."""

    def __init__(self):
        self.directory = make_directory()
        self.daemons, self.programs, self.connections = [], [], []

    def daemon(self, *arguments, uid=None, **more):
        """A daemon; as another user, if told (root only)."""
        directory = os.path.join(self.directory, f"d{len(self.daemons)}")
        os.mkdir(directory, 0o755)
        if uid is not None:
            os.chown(directory, uid, uid)
            user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
            more["wrapper"] = [*user, *more.get("wrapper", ())]
        self.daemons.append(Daemon(*arguments, directory=directory, **more))
        return self.daemons[-1].wait_until_it_listens()

    def program(self, name, *arguments, **more):
        """One of tests/integration/programs."""
        arguments = [program_path(name), *map(str, arguments)]
        self.programs.append(Program(arguments, self.directory, **more))
        return self.programs[-1]

    def reader(self, daemon, *arguments, **more):
        return self.program("reader", "--socket", daemon.socket, *arguments, **more)

    def connection(self, daemon, *arguments):
        """A client of the bare protocol."""
        self.connections.append(Connection(daemon.socket, *arguments))
        return self.connections[-1]

    def steady(self, daemon, *arguments, **more):
        """A reader that reads already."""
        reader = self.reader(daemon, "--name", "steady", *arguments, **more)
        wait_for(lambda: reader.ask()["frames"] > 0, "the first frame", interval=0.05)
        return reader

    def finish(self, failed):
        """Stops the daemons well, unless the test has failed already."""
        try:
            for daemon in self.daemons:
                if not failed and daemon.popen.poll() is None:
                    daemon.stop()
        finally:
            for process in self.programs + self.daemons:
                if process.popen.poll() is None:
                    process.signal(signal.SIGCONT)
                process.kill()
                if failed:
                    print(f"---- {process.name} {process.pid}:\n{process.log()[-4000:]}")
            for connection in self.connections:
                connection.close()
            shutil.rmtree(self.directory, ignore_errors=True)

