# SPDX-License-Identifier: MIT
"""The sheet of sheet.h: what a run is to do, and what its readers saw."""

import ctypes
import mmap
import os

READERS_MAX = 64
ENTRIES = 4096
WARM_FRAMES = 30
TOLD_NOTHING = 2**64 - 1


class Entry(ctypes.Structure):
    _fields_ = [("number", ctypes.c_uint64), ("latency_ns", ctypes.c_int64)]


class Reader(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_uint64) for name in (
            "seen", "received", "gaps", "told", "torn", "revoked", "again", "last", "first_within",
            "last_within")),
        ("pid", ctypes.c_int64), ("reserved", ctypes.c_uint64 * 5)]


class Layout(ctypes.Structure):
    _fields_ = [
        ("width", ctypes.c_uint32), ("height", ctypes.c_uint32), ("frame_size", ctypes.c_uint64),
        ("rate", ctypes.c_uint32), ("readers", ctypes.c_uint32), ("delay_ns", ctypes.c_uint32),
        ("skip", ctypes.c_uint32), ("repeat", ctypes.c_uint32), ("stop", ctypes.c_uint32),
        ("from_ns", ctypes.c_int64), ("until_ns", ctypes.c_int64),
        ("hold_ns", ctypes.c_uint64),
        ("published", ctypes.c_uint64), ("reserved2", ctypes.c_uint64 * 7),
        ("reader", Reader * READERS_MAX), ("entries", (Entry * ENTRIES) * READERS_MAX)]


class Sheet:
    """One run's sheet. Fields of the layout are attributes of `layout`."""

    def __init__(self, cell):
        self.fd = os.memfd_create("sheet", 0)  # without CLOEXEC: the programs inherit it
        os.ftruncate(self.fd, ctypes.sizeof(Layout))
        self.layout = Layout.from_buffer(mmap.mmap(self.fd, ctypes.sizeof(Layout)))
        self.layout.width, self.layout.height = cell.width, cell.height
        self.layout.frame_size = cell.frame_size
        self.layout.rate, self.layout.readers = cell.rate, cell.readers

    @property
    def readers(self):
        return self.layout.reader[:self.layout.readers]

    def latencies(self):
        """For each reader, {number of the frame: latency in ns} of the last ENTRIES frames."""
        return [self._latencies(i, min(reader.received, ENTRIES)) for i, reader in enumerate(self.readers)]

    def _latencies(self, reader, count):
        found = {entry.number: entry.latency_ns for entry in self.layout.entries[reader][:count]}
        if len(found) != count:
            raise ValueError(f"reader {reader} counted a frame twice")
        return found

    def close(self):
        os.close(self.fd)  # the mapping goes with the last reference to it
