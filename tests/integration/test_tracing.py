# SPDX-License-Identifier: MIT
"""Tracepoints: what is in the binaries is what docs/tracing.md says, and what proto/trace.h takes."""

import json
import os
import re
import struct

import pytest
from camtap_command import run
from camtap_testing import BUILD, build_path

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARIES = {"camtapd": "daemon/camtapd", "libcamtap": "client/libcamtap.so"}
# as the notes in a binary have them: bytes, negative if signed
SIZES = {"uint32_t": 4, "int32_t": -4, "uint64_t": 8, "int64_t": -8, "const void *": struct.calcsize("P")}


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def built_with_tracing():
    commands = json.loads(read(os.path.abspath(BUILD), "compile_commands.json"))
    return any("-DCAMTAP_TRACING" in entry["command"] for entry in commands)


needs_tracing = pytest.mark.skipif(not built_with_tracing(), reason="built without <sys/sdt.h>")


def arguments(text):
    """(type, name) of each."""
    return [re.fullmatch(r"(.*?[ *])(\w+)", argument.strip()).groups() for argument in text.split(",")]


def documented():
    """{binary: {tracepoint: [(type, name)]}}"""
    points = {}
    rows = re.findall(r"^\| (\w+) \| `(\w+)` \| (.*) \|$", read(ROOT, "docs", "tracing.md"), re.M)
    for binary, name, text in rows:
        points.setdefault(binary, {})[name] = [(kind.strip(), argument)
                                               for kind, argument in arguments(text.replace("`", ""))]
    return points


def in_binary(path):
    """{tracepoint: {its arguments' sizes}}, a set because one can be in several places."""
    points = {}
    notes = re.findall(r"Provider: (\S+)\s+Name: (\S+)\s+Location:.*\n\s+Arguments: (.*)",
                       run("readelf", "--notes", "--wide", path).check().output.decode())
    for provider, name, text in notes:
        assert provider == "camtap"
        sizes = tuple(int(size) for size in re.findall(r"(?:^|\s)(-?\d+)@", text))
        points.setdefault(name, set()).add(sizes)
    return points


@needs_tracing
@pytest.mark.parametrize("binary", BINARIES)
def test_binaries_have_what_is_documented(binary):
    expected = {name: {tuple(SIZES[kind] for kind, _ in taken)}
                for name, taken in documented()[binary].items()}
    assert in_binary(build_path(BINARIES[binary])) == expected


def test_arguments_are_those_of_the_header():
    """By name and type: the binaries know only sizes."""
    functions = re.findall(r"TRACE_FUNCTION trace_(\w+)\(([^)]*)\)\s*\{\s*DTRACE_PROBE(\d)\(([^)]*)\)",
                           read(ROOT, "proto", "trace.h"))
    in_header = {}
    for name, text, count, passed in functions:
        in_header[name] = [(kind.strip(), argument) for kind, argument in arguments(text)]
        # passed on in the order in which they are taken
        assert re.split(r",\s*", passed.strip()) == ["camtap", name] + [argument for _, argument
                                                                        in in_header[name]]
        assert int(count) == len(in_header[name])
    points = documented()
    assert in_header == {**points["camtapd"], **points["libcamtap"]}


def test_frame_times_uses_what_there_is():
    """Its tracepoints are in the file that it says, and have the arguments that it looks at."""
    script = read(ROOT, "scripts", "frame-times")
    probes = re.findall(r"^\$(camtapd|library):(\w+)(.*?)^(?=\$|/\*|END)", script, re.M | re.S)
    points = documented()
    assert {name for _, name, _ in probes} == {name for names in points.values() for name in names}
    for where, name, body in probes:
        taken = points[{"camtapd": "camtapd", "library": "libcamtap"}[where]][name]
        for number in map(int, re.findall(r"\barg(\d)", body)):
            assert number < len(taken), (name, number)
