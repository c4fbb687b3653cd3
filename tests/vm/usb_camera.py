# SPDX-License-Identifier: MIT
"""Boots the guest with the USB test camera and its recorded pictures."""

import functools
import os
import pathlib
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ["CAMTAP_BUILD"])
PROGRAMS = ["daemon/camtapd", "client/cli/camtap", "tests/integration/programs/frame-hash",
            "tests/vm/uvcam/uvcam", "tests/vm/uvcam/uvcam-check", "tests/vm/uvcam/uvcam-reader"]
PICTURES = 10  # per size


@functools.cache
def recorded():
    """A folder with a moving picture as JPEGs, 4:2:2 as most cameras have it. Its bytes are the same
    every time, since nothing in it depends on time or chance; no test relies on that."""
    folder = tempfile.TemporaryDirectory(prefix="camtap-pictures-")
    for size in ("320x180", "640x360", "1280x720"):
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=30",
                        "-frames:v", str(PICTURES), "-pix_fmt", "yuvj422p", "-q:v", "8",
                        f"{folder.name}/{size}-%02d.jpg"], check=True, stdin=subprocess.DEVNULL)
    return folder


def guest(script, *arguments, modules="uvcvideo vhci_hcd", timeout=400):
    """Runs a script; it must succeed. Returns what it said."""
    command = [HERE / "guest", "--udev", "--timeout", timeout, "--memory", 768,
               "--modules", modules]
    for program in PROGRAMS:
        command += ["--bin", BUILD / program]
    for picture in sorted(pathlib.Path(recorded().name).iterdir()):
        command += ["--copy", f"{picture}:/vm/pictures/{picture.name}"]
    done = subprocess.run([*map(str, command), str(HERE / script), *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout
