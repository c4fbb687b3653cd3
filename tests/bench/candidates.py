# SPDX-License-Identifier: MIT
"""What is measured, and how each is set up: everything is started anew for every run."""

import ctypes
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import sheet as sheets

PATIENCE_S = 30
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
BUILD = os.path.abspath(os.environ.get("CAMTAP_BUILD", "build-bench"))


class Failed(Exception):
    """A run that gave nothing, and why."""


def end_with_parent():
    """In a child before exec: whatever becomes of compare.py, nothing goes on spinning."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def program(name):
    return os.path.join(BUILD, "tests/bench", name)


class Run:
    """The processes of one run. `producers` and `brokers` are the pids whose CPU time is the producer's, and
    that of the daemons between it and the readers."""

    def __init__(self, cell, faults=None):
        self.cell = cell
        self.sheet = sheets.Sheet(cell)
        for name, value in (faults or {}).items():
            setattr(self.sheet.layout, name, value)
        self.directory = tempfile.mkdtemp(prefix="camtap-bench-", dir="/tmp")
        self.processes = []
        self.services = []  # of these, those that run until they are told to end
        self.producers = []
        self.brokers = []
        self.cleanups = []

    def start(self, *arguments, **environment):
        log = open(os.path.join(self.directory, f"{len(self.processes)}.log"), "wb")
        process = subprocess.Popen(
            [str(argument) for argument in arguments], stdin=subprocess.DEVNULL, stdout=log,
            stderr=log, close_fds=True, pass_fds=[self.sheet.fd], preexec_fn=end_with_parent,
            env={**os.environ, "CAMTAP_BENCH_SHEET": str(self.sheet.fd), **environment})
        log.close()
        self.processes.append(process)
        return process

    def serve(self, *arguments, **environment):
        process = self.start(*arguments, **environment)
        self.services.append(process)
        return process

    def produce(self, *arguments, **environment):
        self.producers.append(self.start(*arguments, **environment).pid)

    def broker(self, *arguments, **environment):
        self.brokers.append(self.serve(*arguments, **environment).pid)

    def wait_for(self, condition, what):
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            for process in self.processes:
                if process.poll() is not None:
                    raise Failed(f"{os.path.basename(process.args[0])} has ended "
                                 f"({process.returncode}): {self.log()}")
            if time.monotonic() > deadline:
                raise Failed(f"{what}: not within {PATIENCE_S} s: {self.log()}")
            time.sleep(0.01)

    def log(self):
        """The last line that anybody printed."""
        lines = []
        for name in sorted(os.listdir(self.directory)):
            if name.endswith(".log"):
                with open(os.path.join(self.directory, name), errors="replace") as file:
                    lines += file.read().strip().splitlines()[-1:]
        return "; ".join(lines)

    def _signal_readers(self, number):
        for reader in self.sheet.readers:
            try:  # the number may have become somebody else's
                if reader.pid > 0 and pathlib.Path(f"/proc/{reader.pid}/comm").read_text().startswith("bench-"):
                    os.kill(reader.pid, number)
            except (FileNotFoundError, ProcessLookupError):
                pass

    def finish(self):
        self.sheet.layout.stop = 1
        self._signal_readers(signal.SIGTERM)
        for process in reversed(self.processes):
            # who looks at `stop`, or only waits for its readers, ends by itself
            for patience, insist in ((0 if process in self.services else 1, process.terminate), (5, process.kill),
                                     (None, None)):
                try:
                    process.wait(patience)
                    break
                except subprocess.TimeoutExpired:
                    insist()
        self._signal_readers(signal.SIGKILL)
        for cleanup in self.cleanups:
            cleanup()
        shutil.rmtree(self.directory, ignore_errors=True)
        self.sheet.close()


class Candidate:
    """`how` is printed beside the figures. `limit`: the most readers it can have."""

    name = label = how = ""
    limit = sheets.READERS_MAX
    alone = False  # it has no readers, whatever is asked for
    faults = None  # what the sheet is to say beside the cell

    def missing(self):
        """Why it cannot be measured here; None: it can."""

    def begin(self, run):
        """Starts producer and readers."""
        raise NotImplementedError


class Floor(Candidate):
    def __init__(self, name, label, how, means=None, faults=None):
        self.name, self.label, self.how = name, label, how
        self.means = means or name
        self.faults = faults
        self.alone = means == "none"

    def missing(self):
        return None if os.path.exists(program("bench-floor")) else "not built"

    def begin(self, run):
        run.produce(program("bench-floor"), self.means, run.sheet.fd)


class Camtap(Candidate):
    name, label = "camtap", "camtap"
    how = ("camtapd as it is, but for a source that stamps frames instead of drawing them; default slots and "
           "limits; readers with the bell and camtap_next()")
    options = ()
    reader_options = ()

    def missing(self):
        return None if os.path.exists(program("bench-camtapd")) else "not built"

    def begin(self, run):
        socket = os.path.join(run.directory, "socket")
        rate = str(run.cell.rate)
        daemon = run.serve(program("bench-camtapd"), "--config", "/dev/null", "--name", "bench", "--socket", socket,
                           "--source", "pattern:", "--rate", rate, "--max-clients-per-uid", "128",
                           *self.options)
        run.producers.append(daemon.pid)
        run.wait_for(lambda: os.path.exists(socket), "camtapd's socket")
        if run.cell.readers > 0:
            run.start(program("bench-camtap-readers"), run.sheet.fd, socket, *self.reader_options)


class CamtapAlone(Camtap):
    name, label, how = "camtap-alone", "camtap without readers", "camtap, --always-on, and no reader at all"
    options = ("--always-on",)
    alone = True


class CamtapHolding(Camtap):
    name, label = "camtap-holding", "camtap, slow readers"
    how = "camtap, whose readers hold each frame for 200 ms, as analysis would"
    faults = {"hold_ns": 200_000_000}


class CamtapPolled(Camtap):
    name, label = "camtap-polled", "camtap, event loop"
    how = "camtap, whose readers poll() camtap_fd(), as a program with an event loop does: messages, not the bell"
    reader_options = ("poll",)


class CamtapRealtime(Camtap):
    name, label, how = "camtap-realtime", "camtap, real-time", "camtap, --realtime 1: the thread that captures"
    options = ("--realtime", "1")


def version(package):
    """Debian's, without its revision; None: not installed."""
    found = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    return re.split(r"[-+]", found.stdout.split(":")[-1])[0] if found.returncode == 0 else None


class Peer(Candidate):
    """Another system for the same job: its program in tests/bench/peers, and what must be installed to run it."""

    program = ""
    commands = ()

    def missing(self):
        if not os.path.exists(program(f"peers/{self.program}")):
            return "not built: its development packages are not installed (scripts/packages bench)"
        missing = [command for command in self.commands if shutil.which(command) is None]
        return f"{missing[0]} is not installed (scripts/packages bench)" if missing else None


class Iceoryx(Peer):
    name, program, commands = "iceoryx", "bench-iceoryx", ("iox-roudi",)
    how = ("RouDi with one pool of chunks of the frame's size; untyped publisher and subscribers, queues of 4 that "
           "drop the oldest, WaitSet with HAS_DATA; the producer's CPU time is with RouDi's")

    @property
    def label(self):
        return f"iceoryx {version('iceoryx') or ''}".strip()

    def begin(self, run):
        config = os.path.join(run.directory, "roudi.toml")
        size = -(-(run.cell.frame_size + 256) // 64) * 64
        with open(config, "w") as file:  # each reader may have an old chunk, beside what queues hold
            file.write(f"[general]\nversion = 1\n[[segment]]\n[[segment.mempool]]\nsize = {size}\n"
                       f"count = {run.cell.readers + 8}\n")
        run.broker("iox-roudi", "--config-file", config)
        run.produce(program("peers/bench-iceoryx"), "producer", run.sheet.fd)
        run.start(program("peers/bench-iceoryx"), "readers", run.sheet.fd)


class GStreamer(Peer):
    program = "bench-gstreamer"

    def __init__(self, name, title, producer, how):
        self.name, self.title, self.producer = name, title, producer
        self.how = how + "; room for 8 frames; readers are shmsrc ! appsink with its callback, sync off"

    @property
    def label(self):
        return f"GStreamer {version('gstreamer1.0-plugins-bad') or ''} {self.title}"

    def missing(self):
        return super().missing() or (
            None if version("gstreamer1.0-plugins-bad") and version("gstreamer1.0-plugins-base")
            else "its plugins are not installed (scripts/packages bench)")

    def begin(self, run):
        socket = os.path.join(run.directory, "socket")
        run.produce(program(f"peers/{self.program}"), self.producer, run.sheet.fd, socket)
        run.wait_for(lambda: os.path.exists(socket), "shmsink's socket")
        run.start(program(f"peers/{self.program}"), "readers", run.sheet.fd, socket)


class PipeWire(Peer):
    name, program, commands = "pipewire", "bench-pipewire", ("pipewire", "pw-link")
    how = ("a daemon of its own with the modules of minimal.conf, so with a real-time data thread where that is "
           "allowed; pw_stream with mapped buffers and process callbacks in the data threads, 8 buffers; the producer "
           "drives the graph; its CPU time is with the daemon's")
    configuration = """
        context.properties = { core.daemon = true core.name = pipewire-0 link.max-buffers = 16 }
        context.spa-libs = { support.* = support/libspa-support }
        context.modules = [
            { name = libpipewire-module-rt args = { nice.level = -11 } flags = [ ifexists nofail ] }
            { name = libpipewire-module-protocol-native }
            { name = libpipewire-module-metadata }
            { name = libpipewire-module-spa-node-factory }
            { name = libpipewire-module-client-node }
            { name = libpipewire-module-access }
            { name = libpipewire-module-adapter }
            { name = libpipewire-module-link-factory }
        ]"""

    @property
    def label(self):
        return f"PipeWire {version('pipewire') or ''}".strip()

    def begin(self, run):
        config = os.path.join(run.directory, "pipewire.conf")
        own = {"PIPEWIRE_RUNTIME_DIR": run.directory, "XDG_RUNTIME_DIR": run.directory}
        with open(config, "w") as file:
            file.write(self.configuration)
        run.broker("pipewire", "--config", config, **own)
        run.wait_for(lambda: os.path.exists(os.path.join(run.directory, "pipewire-0")), "PipeWire's socket")
        run.produce(program(f"peers/{self.program}"), "producer", run.sheet.fd, **own)
        run.start(program(f"peers/{self.program}"), "readers", run.sheet.fd, **own)
        for number in range(run.cell.readers):
            link = ["pw-link", "bench-producer:out_0", f"bench-reader-{number}:in_0"]
            run.wait_for(lambda: subprocess.run(link, env={**os.environ, **own}, capture_output=True).returncode == 0,
                         "a link")


class UStreamer(Peer):
    name, program, commands = "ustreamer", "bench-ustreamer-readers", ("ustreamer",)
    how = ("ustreamer with a stand-in for its V4L2 device (preloaded), which stamps frames when they are dequeued; raw "
           "sink, encoder NOOP; readers that look every millisecond and copy, as its own clients do")

    @property
    def label(self):
        return f"uStreamer {version('ustreamer') or ''} memory sink"

    def begin(self, run):
        name = f"camtap-bench-{os.getpid()}.raw"
        run.cleanups.append(lambda: pathlib.Path("/dev/shm", name).unlink(missing_ok=True))
        camera = pathlib.Path(run.directory, "camera")
        camera.touch()
        daemon = run.serve(
            "ustreamer", "--device", camera, "--format", "YUYV", "--resolution",
            f"{run.cell.width}x{run.cell.height * 3 // 4}", "--encoder", "NOOP", "--buffers", "5", "--unix",
            os.path.join(run.directory, "http"), "--raw-sink", name, "--raw-sink-rm",
            LD_PRELOAD=program("peers/bench-ustreamer-camera.so"), CAMTAP_BENCH_CAMERA=str(camera))
        run.producers.append(daemon.pid)
        run.wait_for(lambda: os.path.exists(f"/dev/shm/{name}"), "ustreamer's sink")
        run.start(program(f"peers/{self.program}"), run.sheet.fd, name)


PACE = Floor("pace", "pace alone", "the floors' producer without readers: it is subtracted from the CPU time "
             "of every producer", means="none")
FLOORS = [
    Floor("seqpacket", "floor: SEQPACKET", "bare ring, one message per reader"),
    Floor("pipe", "floor: pipe", "bare ring, one byte in a pipe per reader"),
    Floor("eventfd", "floor: eventfd", "bare ring, one eventfd per reader"),
    Floor("futex", "floor: futex", "bare ring, one wake-up for all"),
]
# Not measured unless --only names them: for tests of the instrument itself, and of camtap alone.
CHECKS = [
    CamtapAlone(),
    CamtapHolding(),
    CamtapPolled(),
    CamtapRealtime(),
    Floor("seqpacket-again", "floor: SEQPACKET, again", "the same once more: what noise is", means="seqpacket"),
    Floor("seqpacket-slow", "floor: SEQPACKET, slowed", "50 us late on purpose", means="seqpacket",
          faults={"delay_ns": 50000}),
]
SYSTEMS = [
    Camtap(),
    Iceoryx(),
    GStreamer("gstreamer", "shm", "producer", "frames in ordinary memory, which shmsink copies"),
    GStreamer("gstreamer-zero-copy", "shm, no copy", "producer-zero-copy",
              "frames in memory of shmsink's allocator, without a copy"),
    PipeWire(),
    UStreamer(),
]
