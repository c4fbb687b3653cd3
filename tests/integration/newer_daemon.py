# SPDX-License-Identifier: MIT
"""A daemon of another version, in Python: everything that may grow by docs/protocol.md ("What may
change") has grown, or everything that may be missing is. It serves one client at a time."""

import fcntl
import json
import mmap
import os
import random
import select
import socket
import struct
import threading
import time

from camtap_testing import FORMAT, FRAME, HELLO, PATIENCE, READY, SOURCE, STATUS, WELCOME

F_ADD_SEALS = 1033
SEAL, SHRINK, GROW, FUTURE_WRITE = 0x01, 0x02, 0x04, 0x10
SOURCE_ONLINE, SOURCE_ENDED = 1, 4
GUARD_FREE = 1
UNKNOWN_TYPE = 1000
MESSAGE_MAX = 4096
GREY = struct.unpack("=I", b"GREY")[0]

WIDTH, HEIGHT = 64, 48
SIZE = WIDTH * HEIGHT
SLOTS = 64
FRAMES = 40  # each in a slot of its own, so that nothing is ever overwritten


def picture(position):
    """The pixels of a frame."""
    return bytes((x * 3 + y * 5 + position * 7) & 0xff for y in range(HEIGHT) for x in range(WIDTH))


class Layout:
    """Where things lie in the pool."""

    def __init__(self, header_size=320, recent_count=64, descriptor_stride=192, slot_gap=0,
                 guard_stride=64):
        self.header_size, self.recent_count = header_size, recent_count
        self.descriptor_stride, self.guard_stride = descriptor_stride, guard_stride
        self.recent_offset = header_size
        self.descriptor_offset = self.recent_offset + 8 * recent_count
        self.slot_offset = -(-(self.descriptor_offset + SLOTS * descriptor_stride) // 4096) * 4096
        self.slot_stride = 4096 + slot_gap
        self.size = self.slot_offset + SLOTS * self.slot_stride
        self.guard_size = -(-SLOTS * guard_stride // 4096) * 4096


NOW = Layout()
GROWN = Layout(header_size=640, recent_count=200, descriptor_stride=320, slot_gap=8192,
               guard_stride=192)
LEAST = Layout(descriptor_stride=136)


def memfd(size, noise):
    """A file in memory that may be sealed, mapped; with noise in it where nothing is known to be."""
    fd = os.memfd_create("newer", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    memory = mmap.mmap(fd, size)
    if noise:
        memory[:] = random.Random(size).randbytes(size)
    return fd, memory


class NewerDaemon:
    """Its thread ends with the context. grow: bytes that every message is longer; cut: messages end after
    what version 1 must have; unknown: messages of unknown types, some with fds, between the others."""

    def __init__(self, path, layout, grow=0, cut=False, unknown=False):
        self.path, self.layout = path, layout
        self.grow, self.cut, self.unknown = grow, cut, unknown
        self.epoch = random.getrandbits(63) | 1
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(path)
        self.listener.listen()
        self.stop_read, self.stop_write = os.pipe()
        self.hello = None  # the last one that came
        self.pipes = []  # reading ends of pipes whose writing ends were sent with unknown messages
        self.error = None
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        os.write(self.stop_write, b"x")
        self.thread.join(PATIENCE)
        self.listener.close()
        for fd in (self.stop_read, self.stop_write, *self.pipes):
            os.close(fd)
        assert self.error is None, self.error

    # messages

    def _send(self, connection, kind, payload, fds=(), least=None):
        if self.cut and least is not None:
            payload = payload[: least - 16]
        payload = (payload + b"\xa5" * self.grow)[: MESSAGE_MAX - 16]
        message = struct.pack("=IIII", kind, 16 + len(payload), 0, 0) + payload
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"={len(fds)}i", *fds))]
        connection.sendmsg([message], control if fds else [])

    def _send_unknown(self, connection):
        """Messages that this version knows nothing of."""
        if not self.unknown:
            return
        self._send(connection, UNKNOWN_TYPE, b"")
        self._send(connection, 7, b"x" * 4000)
        reading, writing = os.pipe()
        self._send(connection, UNKNOWN_TYPE + 1, b"with an fd", [writing])
        os.close(writing)
        self.pipes.append(reading)

    def _send_source(self, connection, state, text=b""):
        self._send(connection, SOURCE, struct.pack("=Iiq512s", state, 0, time.time_ns(), text), least=32)

    # the pool

    def _write_header(self, pool):
        layout = self.layout
        struct.pack_into(
            "=8sIIQQIIIIIIQQ", pool, 0, b"camtap\r\n", 1, layout.header_size, layout.size, self.epoch,
            SLOTS, layout.recent_count, layout.recent_offset, layout.descriptor_offset,
            layout.descriptor_stride, 0xdeadbeee, layout.slot_offset, layout.slot_stride)
        struct.pack_into(
            "=12I8I4I", pool, 72, GREY, WIDTH, HEIGHT, 1, 0, 0, 0, 0, 25, 1, SIZE, 1,
            0, WIDTH, 0, 0, 0, 0, 0, 0, 99, 1, 1, 0)  # 99: a chroma siting that nobody knows yet
        struct.pack_into("=Qq", pool, 192, 0, time.time_ns() - time.monotonic_ns())

    def _publish(self, pool, guard, position):
        layout, slot, generation = self.layout, position, position + 100
        now = time.monotonic_ns()
        start = layout.slot_offset + slot * layout.slot_stride
        pool[start:start + SIZE] = picture(position)
        at = layout.descriptor_offset + slot * layout.descriptor_stride
        struct.pack_into(
            "=QQQqqqIIIIII4I", pool, at, generation, position, position, now, now, -1, position,
            0xfffffff0, 77, 1, SIZE, 1, 0, SIZE, WIDTH, 0)  # unknown flags, an unknown clock
        struct.pack_into("=Q", guard, slot * layout.guard_stride, generation << 8 | GUARD_FREE)
        recent = layout.recent_offset + 8 * ((position - 1) % layout.recent_count)
        struct.pack_into("=Q", pool, recent, generation << 16 | slot)
        struct.pack_into("=Q", pool, 192, position)
        return struct.pack("=QQQQqII", self.epoch, position, generation, position, now, slot, 0)

    # a client

    def _receive(self, connection, wanted):
        while True:
            message = connection.recv(4096)
            if not message:
                return None
            kind, size = struct.unpack_from("=II", message)
            assert size == len(message)
            if kind == STATUS:
                self._answer(connection)
            if kind == wanted:
                return message

    def _answer(self, connection):
        document = json.dumps(self.status()).encode()
        fd = os.memfd_create("status", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.write(fd, document)
        fcntl.fcntl(fd, F_ADD_SEALS, SEAL | SHRINK | GROW | 0x08)
        self._send(connection, STATUS, struct.pack("=Q", len(document)), [fd], least=24)
        os.close(fd)

    def status(self):
        """A status document with keys that nobody knows yet."""
        return {
            "schema": 1, "camera": "newer", "state": "streaming", "future": {"a": [1, None]},
            "source": {"uri": "tomorrow:", "kind": "tomorrow", "transfer": None, "future": 1},
            "streams": [{
                "stream": "native", "future": True, "format": {
                    "fourcc": "GREY", "width": WIDTH, "height": HEIGHT, "future": "x"},
                "epoch": str(self.epoch),
                "counters": {"published": str(FRAMES), "dropped_driver": "0", "corrupt": "0",
                             "pool_empty": "0", "client_slow": "0", "revoked": "0", "future": "9"},
                "clients": []}]}

    def _serve(self, connection):
        self.hello = self._receive(connection, HELLO)
        if self.hello is None:
            return
        mode, = struct.unpack_from("=I", self.hello, 32)
        self._send_unknown(connection)
        # features that nobody knows, but no bell
        features = 0xffffffff00000000 if self.unknown else 0
        self._send(connection, WELCOME, struct.pack("=IIQII72s", 1, 4, features, mode, 0, b"newer"),
                   least=40)
        self._send_unknown(connection)
        if self.unknown:
            self._send_source(connection, 42, b"a state of tomorrow")
        if mode == 1:  # it only looks
            self._receive(connection, None)
            return
        layout = self.layout
        pool_fd, pool = memfd(layout.size, noise=self.grow > 0)
        guard_fd, guard = memfd(layout.guard_size, noise=False)
        self._write_header(pool)
        for position in range(layout.recent_count):
            struct.pack_into("=Q", pool, layout.recent_offset + 8 * position, 0)
        fcntl.fcntl(pool_fd, F_ADD_SEALS, SEAL | SHRINK | GROW | FUTURE_WRITE)
        fcntl.fcntl(guard_fd, F_ADD_SEALS, SHRINK | GROW)
        self._send(connection, FORMAT, struct.pack(
            "=QQIIIIQ", self.epoch, layout.size, layout.guard_size, layout.guard_stride, SLOTS, 0,
            250000000), [pool_fd, guard_fd], least=48)
        os.close(pool_fd)
        os.close(guard_fd)
        ready = self._receive(connection, READY)
        assert ready is None or struct.unpack_from("=Q", ready, 16)[0] == self.epoch
        if ready is None:
            return
        self._send_source(connection, SOURCE_ONLINE)
        for position in range(1, FRAMES + 1):
            self._send(connection, FRAME, self._publish(pool, guard, position))
            if position % 10 == 0:
                self._send_unknown(connection)
        self._send_source(connection, SOURCE_ENDED, b"that was all")
        self._receive(connection, None)  # until it hangs up

    def _run(self):
        try:
            while True:
                ready, _, _ = select.select([self.listener, self.stop_read], [], [])
                if self.stop_read in ready:
                    return
                connection, _ = self.listener.accept()
                with connection:
                    connection.settimeout(PATIENCE)
                    try:
                        self._serve(connection)
                    except (BrokenPipeError, ConnectionResetError):
                        pass  # it had enough
        except BaseException as error:  # for the test's own thread
            self.error = error
