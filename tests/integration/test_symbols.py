# SPDX-License-Identifier: MIT
"""What programs build on: the library's symbols, its one header, its pkg-config file, and the sample."""

import os
import re

import pytest
from camtap_command import run
from camtap_testing import build_path

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEADER = os.path.join(ROOT, "client", "camtap.h")
LIBRARY = build_path("client/libcamtap.so")
SANITIZERS = {"libasan": "address", "libubsan": "undefined", "libtsan": "thread"}


def output(*command, **more):
    return run(*command, **more).check().output.decode()


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def declared():
    """Functions that camtap.h declares, as the compiler sees them."""
    text = output("gcc", "-E", "-P", "-x", "c", HEADER)
    text = text[text.index("struct camtap;"):]  # the system's headers come before
    return set(re.findall(r"\b(camtap_\w+)\s*\(", text))


def needed():
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", output("readelf", "-d", LIBRARY)))


def sanitizers():
    """Options that a program must be linked with, because the library was."""
    return [f"-fsanitize={name}" for prefix, name in SANITIZERS.items()
            if any(library.startswith(prefix) for library in needed())]


def test_symbols_are_those_of_the_header():
    """Exported, listed in the map and declared: three times the same functions, and nothing else."""
    in_map = set(re.findall(r"^\s*(camtap_\w+);", read(ROOT, "client", "libcamtap.map"), re.M))
    exported = {}
    for line in output("nm", "--dynamic", "--defined-only", "--with-symbol-versions", LIBRARY).splitlines():
        _, kind, name = line.split()
        exported[name] = kind
    assert exported.pop("CAMTAP_0.1@@CAMTAP_0.1", exported.pop("CAMTAP_0.1", "A")) == "A"
    assert set(exported.values()) == {"T"}  # no variables
    assert {name.split("@")[0] for name in exported} == in_map == declared()
    assert all(name.endswith("@@CAMTAP_0.1") for name in exported)


def test_it_needs_libc_only():
    wanted = {name for name in needed() if not name.startswith(tuple(SANITIZERS))}
    if sanitizers():  # which bring libraries of their own
        wanted -= {"libgcc_s.so.1", "libm.so.6", "libstdc++.so.6", "libdl.so.2", "libpthread.so.0"}
    assert wanted == {"libc.so.6"}


def test_its_name():
    assert "[libcamtap.so.0]" in re.search(r"\(SONAME\).*", output("readelf", "-d", LIBRARY)).group()


@pytest.mark.parametrize("compiler, options", [
    ("gcc", ["-x", "c", "-std=c11", "-pedantic"]),
    ("clang", ["-x", "c", "-std=c11", "-pedantic"]),
    ("gcc", ["-x", "c", "-std=gnu17"]),
    ("g++", ["-x", "c++", "-std=c++11", "-pedantic"]),
    ("g++", ["-x", "c++", "-std=c++20", "-pedantic"]),
    ("clang++", ["-x", "c++", "-std=c++17", "-pedantic"]),
])
def test_the_header_compiles_alone(tmp_path, compiler, options):
    """In C and C++, included first and twice, without a warning."""
    source = tmp_path / "user.c"
    source.write_text('#include <camtap.h>\n#include <camtap.h>\n'
                      'unsigned use(struct camtap *camera);\n'
                      'unsigned use(struct camtap *camera) { return camtap_max_leases(camera); }\n')
    done = run(compiler, *options, "-Wall", "-Wextra", "-Wshadow", "-Wundef", "-Werror", "-fsyntax-only",
               "-I", os.path.dirname(HEADER), source)
    assert (done.status, done.error) == (0, "")


def test_release_must_be_looked_at(tmp_path):
    """warn_unused_result: a revoked frame is not to be overlooked."""
    source = tmp_path / "careless.c"
    source.write_text("#include <camtap.h>\nvoid f(struct camtap_frame *frame);\n"
                      "void f(struct camtap_frame *frame) { camtap_release(frame); }\n")
    done = run("gcc", "-c", source, "-o", "/dev/null", "-I", os.path.dirname(HEADER)).check()
    assert "unused-result" in done.error


def test_cplusplus_links(tmp_path):
    """extern "C"."""
    source = tmp_path / "user.cc"
    source.write_text("#include <camtap.h>\nint main() { char text[CAMTAP_FOURCC_TEXT_SIZE];\n"
                      "return *camtap_fourcc_text(0x3231564e, text) == 'N' ? 0 : 1; }\n")
    program = tmp_path / "user"
    run("g++", *sanitizers(), source, "-o", program, "-I", os.path.dirname(HEADER), LIBRARY,
        f"-Wl,-rpath,{os.path.dirname(LIBRARY)}").check()
    run(program).check()


def test_pkg_config_file():
    version = re.search(r"version: '(.*?)'", read(ROOT, "meson.build")).group(1)
    folder = build_path("meson-private")
    environment = {**os.environ, "PKG_CONFIG_PATH": folder}

    def ask(*options):
        return output("pkg-config", *options, "camtap", env=environment).split()

    assert ask("--modversion") == [version]
    assert ask("--libs-only-l") == ["-lcamtap"]
    assert ask("--print-requires") == []
    assert ask("--cflags-only-other") == []
    text = read(folder, "camtap.pc")
    assert re.search(r"^Name: camtap$", text, re.M)
    assert re.search(r"^Description: \S", text, re.M)
    header_version = re.findall(r"#define CAMTAP_VERSION_(?:MAJOR|MINOR) (\d+)", read(HEADER))
    assert header_version == version.split(".")[:2]


def test_installed_files(tmp_path):
    """One header, the library, the programs, the pkg-config file: by `meson install`."""
    # a copy of what meson knows about the build is enough; nothing is compiled
    environment = {**os.environ, "DESTDIR": str(tmp_path)}
    run("meson", "install", "-C", os.path.abspath(os.environ["CAMTAP_BUILD"]), "--no-rebuild", "--quiet",
        env=environment).check()
    files = {os.path.relpath(os.path.join(folder, name), tmp_path)
             for folder, _, names in os.walk(tmp_path) for name in names}
    assert [name for name in files if name.endswith(".h")] == ["usr/local/include/camtap.h"]
    for pattern in ("usr/local/bin/camtapd", "usr/local/bin/camtap", "usr/local/lib[^/]*/(.*/)?libcamtap.so.0",
                    "usr/local/lib[^/]*/(.*/)?pkgconfig/camtap.pc"):
        assert any(re.fullmatch(pattern, name) for name in files), (pattern, sorted(files))
    assert not any("test" in os.path.basename(name) for name in files)


def test_sample_minimal(bench, tmp_path):
    """samples/minimal.c, built as a user would: ten frames and their metadata, in fewer than 60 lines."""
    source = os.path.join(ROOT, "samples", "minimal.c")
    assert len(read(source).splitlines()) < 60
    program = tmp_path / "minimal"
    run("gcc", "-Wall", "-Wextra", "-Werror", *sanitizers(), source, "-o", program, "-I",
        os.path.dirname(HEADER), LIBRARY, f"-Wl,-rpath,{os.path.dirname(LIBRARY)}").check()
    daemon = bench.daemon("--size", "320x240", "--pixel-format", "NV12")
    done = run(program, env={**os.environ, "CAMTAP_SOCKET": daemon.socket}).check()
    lines = done.output.decode().splitlines()
    assert len(lines) == 10 and done.error == ""
    assert all(re.match(r"frame \d+ .*NV12 320x240", line) for line in lines)
    done = run(program, env={**os.environ, "CAMTAP_SOCKET": "/nonexistent"})
    done.check(1)
    assert "/nonexistent" in done.error
