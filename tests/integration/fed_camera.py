# SPDX-License-Identifier: MIT
"""A camera whose frames come when the test says so, and never otherwise."""

import mmap
import os
import struct

from camtap_testing import FORMAT, MODE_READ, Connection, wait_for

WIDTH, HEIGHT = 64, 48


class Pool:
    """A look at a daemon's pool, by a client that reads no frame of it."""

    def __init__(self, daemon):
        with Connection(daemon.socket, MODE_READ, name="onlooker") as connection:
            payload, fds = connection.expect(FORMAT)
            self.memory = mmap.mmap(fds[0], struct.unpack_from("=Q", payload, 8)[0], mmap.MAP_SHARED,
                                    mmap.PROT_READ)
            for fd in fds:
                os.close(fd)

    def newest(self):
        """Position of the newest frame."""
        return struct.unpack_from("=Q", self.memory, 192)[0]


class FedCamera:
    """A daemon that reads raw frames from its standard input."""

    def __init__(self, bench, *options):
        self.daemon = bench.daemon("--raw", f"GREY:{WIDTH}x{HEIGHT}", "--slots", "16", *options,
                                   source="-")
        self.socket = self.daemon.socket
        self.pool = None
        self.count = 0

    def feed(self, count):
        """Returns when so many more frames are published and everybody was told."""
        for _ in range(count):
            self.count += 1
            self.daemon.popen.stdin.write(bytes([self.count & 0xff]) * WIDTH * HEIGHT)
        self.daemon.popen.stdin.flush()
        if self.pool is None:  # it is made when the first frame is seen
            self.pool = Pool(self.daemon)
        wait_for(lambda: self.pool.newest() == self.count, "the frames")
        self.rest()

    def rest(self):
        """Returns when every thread of the daemon sleeps."""
        tasks = f"/proc/{self.daemon.pid}/task"

        def asleep():
            for task in os.listdir(tasks):
                with open(f"{tasks}/{task}/stat") as file:
                    if file.read().rpartition(")")[2].split()[0] != "S":
                        return False
            return True

        wait_for(asleep, "the daemon to rest")
