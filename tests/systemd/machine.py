#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""machine.py [COMMAND...]: boots systemd in namespaces with camtap installed, and runs a command (a shell) in it.

The machine is this one's files under a layer in memory, with first process, control groups and devices of its
own; CAMTAP_BUILD names the build that is installed into it. It needs root. It is gone when this process is,
however that ends.
"""

import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

from camtap_testing import BUILD, PATIENCE, Connection, Program, program_path, wait_for  # noqa: E402

PR_SET_PDEATHSIG = 1
GROUP_PREFIX = "camtap-test-"
READER, CHIEF, STRANGER = "camtap-reader", "camtap-chief", "camtap-stranger"  # users: test.sysusers


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _groups():
    """Where control groups of version 2 are on this machine; None in some containers."""
    for folder in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
        if os.path.exists(os.path.join(folder, "cgroup.procs")) and \
                os.path.exists(os.path.join(folder, "cgroup.controllers")):
            return pathlib.Path(folder)
    return None


def _is_alive(group):
    return "populated 1" in (group / "cgroup.events").read_text()


def _remove_group(group):
    for folder, _, _ in os.walk(group, topdown=False):
        os.rmdir(folder)


class Machine:
    """A booted systemd, for `with`. Everything in it ends with it. Where times are measured, it goes `first`: as if
    this machine had nothing else to do."""

    def __init__(self, first=False):
        assert os.geteuid() == 0, "systemd can be booted in namespaces by root only: run this test as root"
        self.folder = tempfile.mkdtemp(prefix="camtap-machine-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self._boot = None
        self._programs = []
        self._wrapper = ["chrt", "--rr", "1"] if first else []
        self.group = self.mounted = None
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- its life ----

    def _start(self):
        groups = _groups() or self._mount_groups()
        for old in groups.glob(GROUP_PREFIX + "*"):  # whose tests were killed
            try:
                if not _is_alive(old) and old.stat().st_mtime < time.time() - 60:
                    _remove_group(old)
            except OSError:
                pass  # another removes it
        self.group = groups / (GROUP_PREFIX + os.path.basename(self.folder))
        self.group.mkdir()
        os.mkdir(os.path.join(self.folder, "root"))
        self._log = open(os.path.join(self.folder, "boot.log"), "wb")

        def enter_group():
            _die_with_parent()
            (self.group / "cgroup.procs").write_text("0")

        self._boot = subprocess.Popen(
            [*self._wrapper, "unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--cgroup", "--fork",
             "--kill-child", HERE / "boot", os.path.abspath(BUILD), os.path.join(self.folder, "root")],
            preexec_fn=enter_group, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        self.pid = wait_for(self._first_process, "the machine's first process")
        wait_for(self._is_up, "systemd")

    def _mount_groups(self):
        self.mounted = os.path.join(self.folder, "groups")
        os.mkdir(self.mounted)
        done = subprocess.run(["mount", "-t", "cgroup2", "cgroup2", self.mounted], capture_output=True, text=True,
                              check=False)
        assert done.returncode == 0, f"systemd cannot be booted here, without control groups: {done.stderr}"
        return pathlib.Path(self.mounted)

    def _first_process(self):
        assert self._boot.poll() is None, self._complaint()
        path = f"/proc/{self._boot.pid}/task/{self._boot.pid}/children"
        return int((pathlib.Path(path).read_text().split() or ["0"])[0])

    def _is_up(self):
        assert self._boot.poll() is None, self._complaint()
        try:
            if pathlib.Path(f"/proc/{self.pid}/comm").read_text().strip() != "systemd":
                return False
        except FileNotFoundError:
            return False  # it has failed, which is to be seen in a moment
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        if state in ("running", "degraded"):
            return True
        return False

    def _complaint(self):
        with open(os.path.join(self.folder, "boot.log"), errors="replace") as file:
            return f"systemd cannot be booted in namespaces here: {file.read()}"

    def close(self):
        for program in self._programs:
            program.kill()
        if self._boot:
            self._boot.kill()  # and with it the machine's first process, and with that all others
            self._boot.wait()
            self._log.close()
        if self.group:
            wait_for(lambda: not _is_alive(self.group), "the machine's end")
            _remove_group(self.group)
        if self.mounted:
            subprocess.run(["umount", self.mounted], check=False)
            os.rmdir(self.mounted)
        shutil.rmtree(self.folder)  # nothing else is mounted here: that was in the machine's own namespace

    # ---- what is run in it ----

    def _prefix(self, user=None):
        # --root: where the tests run in a chroot, the namespace's root is not the machine's
        prefix = [*self._wrapper, "nsenter", f"--target={self.pid}", "--mount", "--net", "--pid", "--ipc", "--uts",
                  "--cgroup", "--root", "--wd", "--"]
        if user:
            prefix += ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        return prefix

    def run(self, *command, user=None, check=True, timeout=PATIENCE):
        """Runs a command to its end. With `check`, it must succeed."""
        done = subprocess.run([*self._prefix(user), *map(str, command)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout,
                              check=False)
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def camtap(self, *arguments, user=READER, **more):
        return self.run("camtap", *arguments, user=user, **more)

    def program(self, path, *arguments, user=READER):
        """A program of this build, which runs with the installed library. See Program."""
        place = f"/tmp/{os.path.basename(path)}"
        if not os.path.exists(self.path(place)):
            self.write(place, pathlib.Path(path).read_bytes(), 0o755)
        return self.spawn(place, *arguments, user=user)

    def spawn(self, *command, user=READER):
        program = Inside([*map(str, command)], self.folder, wrapper=self._prefix(user))
        self._programs.append(program)
        return program

    # ---- its files ----

    def path(self, path):
        """A file of its, as seen from here."""
        return pathlib.Path(f"/proc/{self.pid}/root{path}")

    def write(self, path, content, mode=0o644):
        place = self.path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        place.chmod(mode)

    def configure(self, name, *lines, source="pattern:"):
        """Writes /etc/camtap/NAME.conf; lines for [Camera] come first."""
        self.write(f"/etc/camtap/{name}.conf", "\n".join(["[Camera]", f"source = {source}", *lines, ""]))

    def start_camera(self, name, *lines, source="pattern:"):
        """Configures it and lets it be started by its first reader."""
        self.configure(name, *lines, source=source)
        self.systemctl("start", f"camtapd@{name}.socket")

    def reader(self, name, *arguments, user=READER):
        """tests/integration/programs/reader.c."""
        return self.program(program_path("reader"), "--socket", f"/run/camtap/{name}/socket", *arguments,
                            user=user)

    def drop_in(self, unit, *lines, name="test"):
        """A drop-in of a unit, in force at its next start."""
        self.write(f"/etc/systemd/system/{unit}.d/{name}.conf", "\n".join([*lines, ""]))
        self.systemctl("daemon-reload")

    # ---- its units ----

    def systemctl(self, *arguments, **more):
        return self.run("systemctl", *arguments, **more)

    def show(self, unit, name):
        """One property of a unit."""
        return self.systemctl("show", "--value", f"--property={name}", unit).stdout.rstrip("\n")

    def main_pid(self, unit):
        """The unit's main process, as it is called in the machine; 0: there is none."""
        return int(self.show(unit, "MainPID"))

    def process(self, unit):
        """The same, as it is called here."""
        inside = self.main_pid(unit)
        assert inside > 0, f"{unit} does not run"
        return self.outside(inside)

    def outside(self, inside):
        """What a process of the machine is called here."""
        for folder, _, files in os.walk(self.group):
            if "cgroup.procs" not in files:
                continue
            for pid in pathlib.Path(folder, "cgroup.procs").read_text().split():
                try:
                    status = pathlib.Path(f"/proc/{pid}/status").read_text()
                except OSError:
                    continue
                names = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
                if names[-1] == str(inside) and len(names) == 3:
                    return int(pid)
        raise AssertionError(f"no process {inside} in the machine")

    def journal(self, unit):
        """What a unit has said, and what systemd has said of it: journal entries."""
        self.run("journalctl", "--sync")
        output = self.run("journalctl", "--unit", unit, "--output", "json").stdout
        return [json.loads(line) for line in output.splitlines()]

    def complaints(self, unit):
        """What a unit has said that is more than information."""
        return [entry["MESSAGE"] for entry in self.journal(unit)
                if entry["_COMM"] == "camtapd" and int(entry["PRIORITY"]) < 6]

    def connection(self, name, *arguments):
        """A client of the bare protocol, run by root."""
        return Connection(str(self.path(f"/run/camtap/{name}/socket")), *arguments)


class Inside(Program):
    """A program in the machine. Signals go to it, not to what brought it there."""

    def inner(self):
        children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return wait_for(lambda: int((children.read_text().split() or ["0"])[0]), "the program")

    def signal(self, number):
        os.kill(self.inner(), number)

    def kill(self):
        if self.popen.poll() is None:
            try:
                os.kill(self.inner(), signal.SIGKILL)
            except (AssertionError, ProcessLookupError):
                pass
        super().kill()


def main():
    with Machine() as machine:
        command = sys.argv[1:] or [os.environ.get("SHELL", "/bin/sh")]
        sys.exit(subprocess.run([*machine._prefix(), *command], check=False).returncode)


if __name__ == "__main__":
    main()
