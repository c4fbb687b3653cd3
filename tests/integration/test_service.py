# SPDX-License-Identifier: MIT
"""What the service manager is told, and what it may ask: with a socket of the test's in its place. Under a real
systemd: tests/systemd."""

import os
import select
import signal
import socket
import struct
import subprocess
import time

import pytest
from camtap_command import Background, camtap
from camtap_testing import (MODE_OBSERVE, MODE_READ, PATIENCE, REFUSED, Connection, Process, Tracer, build_path,
                            wait_for)

WATCHDOG_S = 0.4
OBSERVED_WATCHDOG_S = 2  # whose looks are eight times in that
OBSERVED_S = 4
PREEMPTIONS = 10  # of a thread that is awake for a look, on a busy machine; more of one that spins
CODE_CONFIGURATION = 10


class Manager:
    """Receives what sd_notify() sends."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.socket.bind(self.path)
        self.runtime = os.path.join(directory, "runtime")
        os.mkdir(self.runtime)

    def environment(self, *variables):
        """A wrapper for Daemon: the service manager's variables."""
        return ["env", f"NOTIFY_SOCKET={self.path}", f"RUNTIME_DIRECTORY={self.runtime}", *variables]

    def next(self, timeout=PATIENCE):
        """The next message as a dictionary; None if there is none in time."""
        self.socket.settimeout(timeout)
        try:
            message = self.socket.recv(4096).decode()
        except TimeoutError:
            return None
        return dict(line.split("=", 1) for line in message.splitlines())

    def until(self, condition, what):
        """The first message that the condition likes."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            message = self.next()
            assert message is not None, what
            if condition(message):
                return message
        raise AssertionError(what)

    def status(self, *words):
        """Waits for a status text with these words in it."""
        return self.until(lambda message: all(word in message.get("STATUS", "") for word in words),
                          f"status with {words}")["STATUS"]

    def failures(self):
        with open(os.path.join(self.runtime, "failures")) as file:
            return file.read()


@pytest.fixture
def manager(bench):
    manager = Manager(bench.directory)
    yield manager
    manager.socket.close()


def configuration(bench, text):
    path = os.path.join(bench.directory, "camera.conf")
    with open(path, "w") as file:
        file.write(text)
    return path


def test_status_text(bench, manager):
    """Ready, and then format, rate, readers, state."""
    daemon = bench.daemon("--size", "320x240", "--rate", "50", "--idle-timeout", "0",
                          wrapper=manager.environment(f"WATCHDOG_USEC={int(WATCHDOG_S * 1e6)}"))
    assert manager.until(lambda message: "READY" in message, "ready")["STATUS"] == "idle: 0 readers"
    reader = bench.reader(daemon)
    assert manager.status("streaming", "1 reader").startswith("streaming: 320x240 NV12, ")
    assert manager.status("frames/s, 1 reader")
    other = bench.reader(daemon)
    manager.status("2 readers")
    for program in (reader, other):
        program.finish()
    manager.status("idle: 0 readers")
    daemon.signal(signal.SIGTERM)
    manager.until(lambda message: message.get("STOPPING") == "1", "stopping")


def test_measured_rate(bench, manager):
    daemon = bench.daemon("--size", "320x240", "--rate", "50",
                          wrapper=manager.environment(f"WATCHDOG_USEC={int(WATCHDOG_S * 1e6)}"))
    bench.steady(daemon)

    def is_right(message):
        words = message.get("STATUS", "").split()
        return "frames/s," in words and 40 < float(words[words.index("frames/s,") - 1]) < 60

    manager.until(is_right, "50 frames/s")


def thread_of(daemon, name):
    """The thread of that name; of the program's own: the first, which is the server's."""
    def find():
        for thread in os.listdir(f"/proc/{daemon.pid}/task"):
            with open(f"/proc/{daemon.pid}/task/{thread}/comm") as file:
                if file.read() == name + "\n":
                    return int(thread)
        return None
    return wait_for(find, f"the thread {name}")


def is_feeding(message):
    return message.get("WATCHDOG") == "1"


def sleeping(daemon):
    """{thread: (name, its voluntary and involuntary context switches)}, as soon as all threads sleep."""
    def look():
        threads = {}
        for thread in os.listdir(f"/proc/{daemon.pid}/task"):
            with open(f"/proc/{daemon.pid}/task/{thread}/status") as file:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in file)
            threads[int(thread)] = (status["Name"], status["State"][0], int(status["voluntary_ctxt_switches"]),
                                    int(status["nonvoluntary_ctxt_switches"]))
        return threads

    def sleep():
        threads, previous[0] = previous[0], look()
        if threads == previous[0] and all(state == "S" for _, state, _, _ in threads.values()):
            return {thread: (name, switches) for thread, (name, _, *switches) in threads.items()}
        return None

    previous = [None]
    return wait_for(sleep, "all threads asleep")


def switches(before, after):
    """{thread: (name, voluntary, involuntary)} from one to the other."""
    assert before.keys() == after.keys()
    return {thread: (name, *(b - a for a, b in zip(before[thread][1], counts)))
            for thread, (name, counts) in after.items()}


@pytest.mark.parametrize("was_read", (False, True), ids=("before the first reader", "after the last"))
def test_nothing_wakes_an_idle_daemon(bench, was_read):
    """Without a service manager."""
    daemon = bench.daemon("--config", configuration(bench, "[Camera]\nidle_timeout = 0\n"))
    if was_read:
        bench.steady(daemon).finish()
        wait_for(lambda: daemon.status()["state"] == "idle", "idle")
    with Connection(daemon.socket) as observer:  # which sees the others go, and stays
        wait_for(lambda: len(observer.status()["observers"]) == 1, "the others to be gone")
        before = sleeping(daemon)
        time.sleep(OBSERVED_S)
        found = switches(before, sleeping(daemon))
    assert all(counts == [0, 0] for _, *counts in found.values()), found


@pytest.mark.parametrize("was_read", (False, True), ids=("before the first reader", "after the last"))
def test_the_watchdog_alone_wakes_an_idle_daemon(bench, manager, was_read):
    """Once for each look: the two threads that it asks, and no other."""
    daemon = bench.daemon("--config", configuration(bench, "[Camera]\nidle_timeout = 0\n"),
                          wrapper=manager.environment(f"WATCHDOG_USEC={int(OBSERVED_WATCHDOG_S * 1e6)}"))
    if was_read:
        bench.steady(daemon).finish()
        wait_for(lambda: daemon.status()["state"] == "idle", "idle")
    # timers, but only once each: of a good run, and of the status text after the last change
    wait_for(lambda: manager.failures() == "run 0\n", "a good run")
    while manager.next(0.01) is not None:
        pass
    for _ in range(2):  # looks, which are further apart than that
        manager.until(is_feeding, "fed")
    before = sleeping(daemon)
    looks, until = 0, time.monotonic() + OBSERVED_S
    while time.monotonic() < until:
        looks += is_feeding(manager.next())
    after = sleeping(daemon)
    while (message := manager.next(0.01)) is not None:  # what woke it since
        looks += is_feeding(message)
    found = switches(before, after)
    for thread, (name, voluntary, involuntary) in found.items():
        asked = looks if thread == daemon.pid or name == "capture" else 0
        assert voluntary <= asked and involuntary <= asked * PREEMPTIONS, (looks, found)
    assert looks < OBSERVED_S / OBSERVED_WATCHDOG_S * 8 + 2


@pytest.mark.parametrize("reads", (False, True), ids=("idle", "streaming"))
@pytest.mark.parametrize("name,feeds", (("camtapd", False), ("capture", False), ("reaper", True)))
def test_watchdog_is_fed_by_both_threads(bench, manager, reads, name, feeds):
    """It starves as soon as one of them does not get on; other threads are not asked."""
    daemon = bench.daemon("--size", "320x240",
                          wrapper=manager.environment(f"WATCHDOG_USEC={int(WATCHDOG_S * 1e6)}"))
    if reads:
        bench.steady(daemon)
    thread = thread_of(daemon, name)
    manager.until(is_feeding, "fed")
    tracer = Tracer(thread)
    while manager.next(0.01) is not None:  # what was on its way
        pass
    first = manager.next(WATCHDOG_S * 2)  # after the last sign of life
    last = manager.next(WATCHDOG_S * 2)
    tracer.go_on()
    assert (last is not None and is_feeding(last)) == feeds, (first, last)
    manager.until(is_feeding, "fed again")


def test_watchdog_ends_the_process_whatever_thread_hangs(bench, manager):
    """SIGABRT gets through, although the server thread, which it is for, is stopped."""
    daemon = bench.daemon(wrapper=manager.environment())
    thread_of(daemon, "reaper")  # it has all its threads
    tracer = Tracer(daemon.pid)
    daemon.signal(signal.SIGABRT)
    assert daemon.wait() < 0  # by which signal, the tracer has changed
    del tracer


def test_reload(bench, manager):
    """What can change changes, without a new epoch; what cannot is named; what is wrong changes nothing."""
    path = configuration(bench, "[Camera]\nsize = 320x240\n")
    daemon = bench.daemon("--config", path, wrapper=manager.environment())
    reader = bench.steady(daemon)
    epoch = daemon.stream()["epoch"]

    def reload(text):
        configuration(bench, text)
        while manager.next(0.01) is not None:
            pass
        daemon.signal(signal.SIGHUP)
        message = manager.until(lambda message: message.get("RELOADING") == "1", "reloading")
        assert 0 < time.monotonic_ns() // 1000 - int(message["MONOTONIC_USEC"]) < PATIENCE * 1e6
        manager.until(lambda message: message.get("READY") == "1", "ready")
        return daemon.log().splitlines()[-2:]

    assert reload("[Camera]\nsize = 320x240\n")[-1].endswith("read anew: nothing to change")
    daemon.expect_log("need a restart")
    lines = reload("[Camera]\nsize = 640x480\nalways_on = yes\n[Pool]\nmemory_limit = 512M\n"
                   "[Clients]\nmax_clients_per_uid = 3\n")
    assert lines[0].endswith("read anew: always_on = yes, memory_limit = 512M, max_clients_per_uid = 3")
    assert lines[1].endswith("these need a restart: size = 640x480")
    limits = daemon.status()["limits"]
    assert (limits["max_clients_per_uid"], limits["memory_limit_bytes"]) == (3, str(512 << 20))
    done = camtap("hz", "--socket", daemon.socket, "--stream", "GREY:320x240", "--count", "3")
    done.check()
    wait_for(lambda: len(daemon.status()["streams"]) == 1, "the stream to be gone")
    reload("[Camera]\nsize = 320x240\nalways_on = yes\n[Pool]\nmemory_limit = 1M\n")
    done = camtap("hz", "--socket", daemon.socket, "--stream", "GREY:320x240", "--count", "3")
    done.check_line(1, "over the limit of 1 MiB")
    limits = daemon.status()["limits"]
    daemon.expect_log("idle_timout")
    line = reload("[Camera]\nidle_timout = 5s\n")[-1]
    assert f"{path}:2: no such key: idle_timout" in line and "goes on" in line
    assert daemon.status()["limits"] == limits
    assert daemon.stream()["epoch"] == epoch
    # always on: it streams on when the last reader has gone
    published = daemon.counters()["published"]
    assert reader.finish()["torn"] == 0
    wait_for(lambda: daemon.counters()["published"] > published + 20, "frames")
    reload("[Camera]\nsize = 320x240\nidle_timeout = 0\n")
    wait_for(lambda: daemon.status()["state"] == "idle", "idle")


def test_failing_again_and_again(bench, manager):
    """A run that ends before it was good is counted, and too many make the next one wait; a good one is the end
    of that."""
    for failures in range(1, 4):
        daemon = bench.daemon(wrapper=manager.environment())
        assert manager.failures() == f"run {failures}\n"
        daemon.signal(signal.SIGKILL)
        daemon.wait()
    assert "the last 2 runs ended in failure: this one begins in 0.1 s" in daemon.log()
    daemon = bench.daemon(wrapper=manager.environment())
    daemon.expect_log("the last 3 runs ended in failure")
    wait_for(lambda: manager.failures() == "run 0\n", "a good run")
    daemon.stop()
    daemon = bench.daemon(wrapper=manager.environment())
    daemon.stop()  # well: that is no failure
    assert manager.failures() == "run 0\n"


class Activated(Process):
    """camtapd with a listening socket as the service manager passes it."""

    def __init__(self, bench, manager, listener, *arguments):
        # LISTEN_PID is the process that camtapd will be
        script = f'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@" 3<&{listener.fileno()}'
        super().__init__([build_path("daemon/camtapd"), *arguments], bench.directory,
                         wrapper=[*manager.environment(), "bash", "-c", script, "bash"],
                         pass_fds=[listener.fileno()])


@pytest.fixture
def listener(bench):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(os.path.join(bench.directory, "socket"))
        listener.listen(16)
        yield listener


@pytest.mark.parametrize("text,where", (("[Camera]\nsourze = pattern:\n", ":2: no such key: sourze"),
                                        ("[Camera]\nsource = nonsense:\n", "nonsense"),
                                        ("[Camera]\nsource = pattern:\nsize = 3x3\n", "3x3")))
def test_wrong_configuration(bench, manager, listener, text, where):
    """Exit status 2; those who wait are told why, so that nobody is left in the queue to start it again."""
    path = configuration(bench, text)
    clients = [Connection(listener.getsockname(), mode) for mode in (MODE_READ, MODE_OBSERVE, MODE_READ)]
    silent = Connection(listener.getsockname(), hello=False)
    daemon = Activated(bench, manager, listener, "--name", "front", "--config", path)
    assert daemon.wait() == 2
    assert where in daemon.log()
    for client in [*clients, silent]:
        payload, _ = client.expect(REFUSED)
        assert struct.unpack_from("=I", payload)[0] == CODE_CONFIGURATION
        assert where in payload[8:].rstrip(b"\0").decode()
        client.close()
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.accept()
    assert manager.failures() == "configuration 1\n"
    daemon.kill()


def test_wrong_configuration_ends_a_reader(bench, manager, listener):
    """Even one that was attached before: it would have the daemon started again and again."""
    path = configuration(bench, "[Camera]\nsource = pattern:\nsize = 320x240\n")
    hz = Background(bench, "hz", "--socket", listener.getsockname(), "--json")
    before = Activated(bench, manager, listener, "--name", "front", "--config", path)
    with Connection(listener.getsockname()) as observer:
        wait_for(lambda: int(observer.status()["streams"][0]["counters"]["published"]) > 20, "frames")
    configuration(bench, "[Camera]\nsourze = pattern:\n")
    before.kill()
    assert select.select([listener], [], [], PATIENCE)[0]  # it attaches again
    assert Activated(bench, manager, listener, "--name", "front", "--config", path).wait() == 2
    hz.done().check_line(1, f"{path}:2: no such key: sourze")


def test_check_config_is_no_start(bench, manager):
    path = configuration(bench, "[Camera]\nsourze = pattern:\n")
    result = subprocess.run([*manager.environment(), build_path("daemon/camtapd"), "--check-config", "--config", path],
                            capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 2 and f"{path}:2:" in result.stderr
    assert not os.listdir(manager.runtime)
