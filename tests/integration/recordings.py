# SPDX-License-Identifier: MIT
"""Recordings for tests, made by ffmpeg: a camera that pans and zooms over a real photograph (astronaut.png
of python3-skimage: NASA, public domain)."""

import pathlib
import subprocess

PHOTOGRAPH = "/usr/lib/python3/dist-packages/skimage/data/astronaut.png"
RATE = 25


def ffmpeg(*arguments, **more):
    terminal = [] if "input" in more else ["-nostdin"]
    return subprocess.run(["ffmpeg", "-v", "error", *terminal, "-y", *map(str, arguments)],
                          check=True, stdout=subprocess.PIPE, **more).stdout


def film(path, *output, width=320, height=240, frames=40, pixels=None):
    """Writes `frames` pictures, no two of them alike, as the output options say."""
    pan = f"zoompan=z='1+in/80':x='2*in':y='in':d=1:s={width}x{height}:fps={RATE}"
    if pixels:
        pan += f",format={pixels}"
    ffmpeg("-loop", 1, "-framerate", RATE, "-i", PHOTOGRAPH, "-frames:v", frames, "-vf", pan,
           *output, path)
    return pathlib.Path(path)


def mjpeg(path, **more):
    """JPEGs one after the other, 4:2:2 as most cameras give them."""
    return film(path, "-c:v", "mjpeg", "-q:v", 4, "-f", "mjpeg", pixels="yuvj422p", **more)


def avi(path, recording, rate=RATE):
    """The same pictures in an AVI."""
    ffmpeg("-r", rate, "-f", "mjpeg", "-i", recording, "-c", "copy", "-f", "avi", path)
    return pathlib.Path(path)


def y4m(path, pixels, **more):
    return film(path, "-f", "yuv4mpegpipe", pixels=pixels, **more)


def split(recording, folder):
    """The JPEGs of an MJPEG or AVI, as ffmpeg finds them in it."""
    folder = pathlib.Path(folder)
    folder.mkdir()
    ffmpeg("-i", recording, "-c", "copy", "-f", "image2", folder / "%04d.jpg")
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def decode(picture, pixels="rgb24", form=None):
    """The samples of the first picture in a file or in bytes, by ffmpeg."""
    where = ["-i", "-"] if isinstance(picture, bytes) else ["-i", picture]
    more = {"input": picture} if isinstance(picture, bytes) else {}
    command = ["ffmpeg", "-v", "error", *(["-f", form] if form else []), *map(str, where),
               "-frames:v", "1", "-sws_flags", "accurate_rnd+full_chroma_int+bicubic",
               "-pix_fmt", pixels, "-f", "rawvideo", "-"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, **more).stdout


def split_y4m(data):
    """The header line, and the frames without theirs."""
    header, _, rest = data.partition(b"\n")
    tags = {tag[:1]: tag[1:] for tag in header.split(b" ")[1:]}
    width, height = int(tags[b"W"]), int(tags[b"H"])
    chroma = tags.get(b"C", b"420")
    sizes = {b"420": 2 * ((width + 1) // 2) * ((height + 1) // 2),
             b"422": 2 * ((width + 1) // 2) * height, b"mon": 0}
    size = width * height + sizes[chroma[:3]]
    frames = []
    while rest:
        line, _, rest = rest.partition(b"\n")
        assert line.startswith(b"FRAME") and len(rest) >= size
        frames.append(rest[:size])
        rest = rest[size:]
    return header, frames
