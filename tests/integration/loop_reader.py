"""Drives programs/epoll-reader and glib-reader (programs/loop-reader.h says what they understand)."""

import collections
import os
import select
import subprocess
import time

import camtap_testing

PATIENCE_S = 30

Line = collections.namedtuple("Line", "word values text")


def parse(line):
    """WORD key=value ... [text=REST]"""
    head, _, text = line.partition(" text=")
    word, *pairs = head.split(" ")
    values = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        values[key] = int(value) if value.lstrip("-").isdigit() and key != "hash" else value
    return Line(word, values, text)


class LoopReader:
    """A reader in an event loop. Lines that nobody waited for stay in .lines, oldest first."""

    def __init__(self, socket, loop="epoll", wake="doorbell"):
        self.process = subprocess.Popen(
            [camtap_testing.program(f"{loop}-reader"), socket, wake],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.name = f"{loop}-reader {wake}"
        self.lines = []
        self.seen = []
        self.partial = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def say(self, command):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()

    def _read(self, deadline):
        fd = self.process.stdout.fileno()
        ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"{self.name}: nothing came; seen: {self.seen[-20:]}"
        data = os.read(fd, 65536)
        assert data, f"{self.name}: ended with {self.process.wait()}; seen: {self.seen[-20:]}"
        *lines, self.partial = (self.partial + data).split(b"\n")
        for line in lines:
            self.lines.append(parse(line.decode()))
            self.seen.append(line.decode())

    def expect(self, word, patience_s=PATIENCE_S, **values):
        """Waits for a line with that word and these values, and takes it off .lines."""
        deadline = time.monotonic() + patience_s
        looked = 0
        while True:
            for index in range(looked, len(self.lines)):
                line = self.lines[index]
                if line.word == word and values.items() <= line.values.items():
                    del self.lines[index]
                    return line
            looked = len(self.lines)
            assert not any(line.word == "error" for line in self.lines) or word == "error", self.seen
            self._read(deadline)

    def take(self, word):
        """The lines with that word that have come so far; takes them off .lines."""
        taken = [line for line in self.lines if line.word == word]
        self.lines = [line for line in self.lines if line.word != word]
        return taken

    def ask(self, command, answer):
        self.say(command)
        return self.expect(answer).values

    def report(self):
        """Counts since the last report."""
        return self.ask("report", "report")

    def await_frames(self, count):
        self.ask(f"await {count}", "reached")

    def check(self):
        """What the frames that are kept look like now."""
        self.say("check")
        self.expect("done")
        return [line.values for line in self.take("checked")]

    def release(self, count, command="release"):
        self.say(f"{command} {count}")
        self.expect("done")
        return [line.values for line in self.take("released")]

    def quit(self):
        """Its exit status."""
        self.say("quit")
        return self.process.wait(PATIENCE_S)
