# SPDX-License-Identifier: MIT
"""Questions about controls over the socket, without a device: who may ask what, and what becomes of those
who ask too much. (tests/vm/controls.sh is the same with a device.)"""

import errno
import os
import struct

import pytest
from camtap_command import CAMTAP, camtap, run
from camtap_testing import (
    FORMAT, HELLO, MODE_OBSERVE, MODE_READ, SOURCE, STATUS, WELCOME, Connection,
    is_sanitized, wait_for,
)

CONTROLS, SET_CONTROL = 5, 6
FEATURE_CONTROLS = 1 << 2
PROTOCOL = 2  # enum wire_code
GONE = "v4l2:/nonexistent/video0"  # with --wait
NOBODY = 65534


class Client(Connection):
    """A client that may ask for the feature."""

    def __init__(self, daemon, features=FEATURE_CONTROLS, mode=MODE_OBSERVE):
        super().__init__(daemon.socket, hello=False)
        self.send(HELLO, struct.pack("=IIQII72s128s", 1, 1, features, mode, 0, b"controls", b""))
        payload, _ = self.expect(WELCOME)
        self.granted = struct.unpack_from("=Q", payload, 8)[0] & FEATURE_CONTROLS

    def ask(self, token):
        self.send(CONTROLS, struct.pack("=Q", token))

    def set(self, token, name=b"gain", value=b"1"):
        self.send(SET_CONTROL, struct.pack("=Q72s512s", token, name, value))

    def answer(self, kind):
        """(token, errno, text)"""
        payload, fds = self.expect(kind)
        assert not fds
        form = "=QQiI512s" if kind == CONTROLS else "=QiI512s"
        fields = struct.unpack(form, payload)
        return fields[0], fields[-3], fields[-1].split(b"\0")[0].decode()


@pytest.fixture
def pattern(bench):
    return bench.daemon()


@pytest.fixture
def gone(bench):
    daemon = bench.daemon("--wait", source=GONE)
    daemon.expect_log("no such device")
    return daemon


def test_a_source_without_controls_says_so(pattern):
    for mode in (MODE_OBSERVE, MODE_READ):
        with Client(pattern, mode=mode) as client:
            assert client.granted
            client.ask(2**64 - 1)
            token, error, text = client.answer(CONTROLS)
            assert (token, error) == (2**64 - 1, errno.EOPNOTSUPP) and "pattern" in text
            client.set(7)
            token, error, text = client.answer(SET_CONTROL)
            assert (token, error) == (7, errno.EOPNOTSUPP) and "pattern" in text


def test_a_device_that_is_away_is_an_answer(gone):
    with Client(gone) as client:
        client.set(1)
        client.ask(2)
        token, error, text = client.answer(SET_CONTROL)
        assert (token, error) == (1, errno.ENODEV) and "/nonexistent/video0" in text
        token, error, text = client.answer(CONTROLS)
        assert (token, error) == (2, errno.ENODEV) and "/nonexistent/video0" in text


def test_who_did_not_ask_for_the_feature_knows_no_such_message(pattern):
    pattern.expect_log("a message of an unknown type")
    for kind in (CONTROLS, SET_CONTROL):
        with Client(pattern, features=0) as client:
            assert not client.granted
            client.send(kind, bytes(1000))
            assert client.end() == (PROTOCOL, "a message of an unknown type")


def test_wrong_messages_end_the_connection(pattern):
    pattern.expect_log("too short|size is not its length|file descriptors")
    for kind, size in ((CONTROLS, 8), (SET_CONTROL, 592)):
        for wrong in (0, size - 1):
            with Client(pattern) as client:
                client.send(kind, bytes(wrong))
                assert client.end()[0] == PROTOCOL
        with Client(pattern) as client:
            client.socket.send(struct.pack("=IIII", kind, 17 + size, 0, 0) + bytes(size))
            assert client.end()[0] == PROTOCOL
        # of a later version
        with Client(pattern) as client:
            client.send(kind, struct.pack("=Q", 5) + bytes(size - 8) + b"more")
            assert client.answer(kind)[0] == 5
    # texts without an end, and what is no text
    with Client(pattern) as client:
        client.set(6, b"\xff" * 72, b"\x1b" * 512)
        assert client.answer(SET_CONTROL)[1] == errno.EOPNOTSUPP


def test_names_are_made_printable(gone):
    """Here only that nothing breaks: without a device no text has the name."""
    with Client(gone) as client:
        client.set(6, b"\x1b[2J" * 18, b"%s" * 256)
        assert client.answer(SET_CONTROL)[1] == errno.ENODEV


def test_more_questions_than_allowed_end_the_connection(gone):
    gone.expect_log("requests about controls without an answer")
    with Client(gone) as client, pytest.raises((BrokenPipeError, ConnectionResetError)):
        # nothing is read: when the queue is full, answers wait
        for token in range(900):  # of 1000 in a second
            client.ask(token)
        client.socket.settimeout(0)
        wait_for(lambda: client.ask(0), "the hang-up")
    assert gone.status()["expelled"]["protocol"] == "1"


def test_a_flood_ends_the_connection(pattern):
    pattern.expect_log("too many messages|requests about controls")
    with Client(pattern) as client:
        try:
            for token in range(5000):
                client.ask(token)
                client.answer(CONTROLS)
        except (AssertionError, BrokenPipeError, ConnectionResetError):
            pass
        else:
            raise AssertionError("5000 questions were answered")
    assert pattern.status()["expelled"]["protocol"] == "1"


def test_clients_that_do_not_wait_leave_nothing(bench):
    limits = ["--max-clients", "1000", "--max-clients-per-uid", "1000"]
    gone = bench.daemon("--wait", *limits, source=GONE)
    with Client(gone) as steady:
        steady.ask(0)
        steady.answer(CONTROLS)
        fds, memory = gone.fd_count(), None
        for number in range(600):
            with Client(gone) as client:
                client.set(1)
                client.ask(2)
                client.set(3)
                client.ask(4)
            if number == 300:
                memory = gone.memory()
        steady.set(5)
        assert steady.answer(SET_CONTROL)[0] == 5
        wait_for(lambda: gone.fd_count() <= fds, "their fds are closed")
        # a sanitizer keeps what is freed
        assert is_sanitized() or gone.memory() < memory + (1 << 20)


def test_other_answers_do_not_wait(gone):
    """STATUS is answered between them."""
    with Client(gone) as client:
        for token in range(4):
            client.set(token)
        client.send(STATUS)
        seen = []
        while len(seen) < 5:
            kind, _, fds = client.receive()
            for fd in fds:
                os.close(fd)
            if kind not in (SOURCE, FORMAT):
                seen.append(kind)
        assert sorted(seen) == [STATUS] + 4 * [SET_CONTROL]


def test_setting_needs_the_right_and_reading_does_not(bench, gone):
    camtap("ctl", "--socket", gone.socket, "gain=1").check_line(1, "no such device")
    if os.geteuid() != 0:  # only root can be somebody else
        return
    gone.let_in_everybody()
    other = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", CAMTAP, "ctl"]
    run(*other, "--socket", gone.socket, "gain=1").check_line(1, "group camtap-admin")
    run(*other, "--socket", gone.socket, "gain").check_line(1, "no such device")
    own = bench.daemon("--wait", source=GONE, uid=NOBODY)
    run(*other, "--socket", own.socket, "gain=1").check_line(1, "no such device")


def test_the_command_says_what_is_wrong(pattern, bench):
    camtap("ctl", "--socket", pattern.socket).check_line(1, "pattern: this camera has no controls")
    camtap("ctl", "--socket", pattern.socket, "a=1").check_line(1, "this camera has no controls")
    camtap("ctl", "--socket", pattern.socket, "=").check_line(2, "what is =")
    camtap("ctl", "--socket", "/nonexistent/socket").check_line(1, "no camera")
    assert camtap("ctl", "--help").check().output.startswith(b"usage: camtap ctl")


def test_controls_of_a_source_without_any_are_a_warning(bench):
    daemon = bench.daemon("--control", "brightness=1")
    daemon.expect_log(r"\[Controls\] are for V4L2 devices")
    daemon.status()  # so it has said so
    assert len(daemon.complaints()) == 1
