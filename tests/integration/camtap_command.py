# SPDX-License-Identifier: MIT
"""Runs `camtap`, the command, as its users do."""

import json
import re
import subprocess

from camtap_testing import PATIENCE, SANITIZER, Process, build_path

CAMTAP = build_path("client/cli/camtap")


class Done:
    """What a command left behind."""

    def __init__(self, status, output, error):
        self.status, self.output, self.error = status, output, error

    def check(self, status=0):
        assert self.status == status, f"status {self.status}: {self.error}"
        assert not SANITIZER.search(self.error), self.error
        return self

    def check_line(self, status, pattern):
        """One line on standard error, which matches."""
        self.check(status)
        assert re.fullmatch(r"[^\n]+\n", self.error), self.error
        assert re.search(pattern, self.error), self.error
        return self

    def json(self):
        return json.loads(self.output)


def run(*command, **more):
    """Runs any command to its end."""
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE, **more)
    return Done(done.returncode, done.stdout, done.stderr.decode(errors="backslashreplace"))


def camtap(command, *arguments, **more):
    return run(CAMTAP, command, *arguments, **more)


class Background(Process):
    """camtap, while the test goes on."""

    def __init__(self, bench, command, *arguments, **more):
        super().__init__([CAMTAP, command, *map(str, arguments)], bench.directory, **more)
        bench.programs.append(self)

    def done(self):
        """Waits for its end."""
        output, _ = self.popen.communicate(timeout=PATIENCE)
        return Done(self.popen.returncode, output, self.log())
