# SPDX-License-Identifier: MIT
"""Drives programs/epoll-reader and glib-reader; programs/loop-reader.h says what they understand."""

import collections

from camtap_testing import PATIENCE

Line = collections.namedtuple("Line", "word values text")


def parse(line):
    """WORD key=value ... [text=REST]"""
    head, _, text = line.partition(" text=")
    word, *pairs = head.split(" ")
    values = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        values[key] = int(value) if key != "hash" and value.lstrip("-").isdigit() else value
    return Line(word, values, text)


class LoopReader:
    """A reader in an event loop. Lines that nobody has waited for are in .lines, oldest first."""

    def __init__(self, bench, socket, loop="epoll", wake="bell"):
        self.program = bench.program(f"{loop}-reader", socket, wake)
        self.lines = []

    def say(self, command):
        self.program.popen.stdin.write(command.encode() + b"\n")
        self.program.popen.stdin.flush()

    def expect(self, word, **values):
        """Waits for a line with that word and these values, and takes it off .lines."""
        for index, line in enumerate(self.lines):
            if line.word == word and values.items() <= line.values.items():
                return self.lines.pop(index)
        while True:
            line = parse(self.program.line(PATIENCE))
            if line.word == word and values.items() <= line.values.items():
                return line
            assert line.word != "error", line
            self.lines.append(line)

    def take(self, word):
        """The lines with that word that have come so far; takes them off .lines."""
        taken = [line for line in self.lines if line.word == word]
        self.lines = [line for line in self.lines if line.word != word]
        return taken

    def outcomes(self):
        """The events that have come so far, by name."""
        return [line.values["what"] for line in self.take("outcome")]

    def ask(self, command, answer):
        self.say(command)
        return self.expect(answer).values

    def report(self):
        """Counts since the last report."""
        return self.ask("report", "report")

    def await_frames(self, count):
        self.ask(f"await {count}", "reached")

    def until(self, frame_id):
        self.ask(f"until {frame_id}", "there")

    def check(self):
        """What the frames that are kept look like now."""
        self.ask("check", "done")
        return [line.values for line in self.take("checked")]

    def release(self, count, command="release"):
        self.ask(f"{command} {count}", "done")
        return [line.values for line in self.take("released")]

    def quit(self):
        self.say("quit")
        assert self.program.wait() == 0
        self.program.check_sanitizer()
