# SPDX-License-Identifier: MIT
"""docs/protocol.md is enough to write a client: its own reader, in plain Python, with sockets and mmap only,
is taken out of the page and run."""

import pathlib
import re
import subprocess
import sys
import time

LIMIT_S = 200  # a sanitizer on a busy machine
PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "protocol.md"

# The frame is NV12 of 640x360: every line is the one above, shifted, and the number is the descriptor's.
CHECK = '''
torn = 0
def check(pool, descriptor, pixels):
    global torn
    luma, chroma = pixels[:640 * 360], pixels[640 * 360:]
    good = (whole(luma, 640, 640, 1, 16, 360) and whole(chroma, 640, 640, 2, 0, 180)
            and number(luma, 640, 640, 1, 1, 0) == u32(descriptor, 48))
    torn += not good
read(sys.argv[1], int(sys.argv[2]), check)
print("torn", torn)
'''


def script(**changes):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    pieces = [block for block in blocks
              if block.startswith(("def number", "def whole")) or "class Pool" in block]
    assert len(pieces) == 3
    text = "\n".join(pieces).replace('if __name__ == "__main__":', "if False:") + CHECK
    for old, new in changes.values():
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def torn(daemon, frames, text):
    done = subprocess.run([sys.executable, "-c", text, daemon.socket, str(frames)],
                          stdout=subprocess.PIPE, text=True, timeout=100, check=True)
    return int(re.search(r"torn (\d+)", done.stdout)[1])


def test_a_reader_in_plain_python_copies_no_torn_frame(bench):
    daemon = bench.daemon("--size", "640x360", "--rate", "0", "--slots", "8")
    assert torn(daemon, 1000, script()) == 0


def test_the_same_reader_without_its_last_look_does(bench):
    """The positive control: the test can see a torn frame."""
    daemon = bench.daemon("--size", "640x360", "--rate", "0", "--slots", "4")
    blind = script(last=("if u64(self.memory, at) != generation or u64(self.memory, at + 8) != want:",
                         "if False:"))
    deadline = time.monotonic() + LIMIT_S
    while torn(daemon, 1000, blind) == 0:
        assert time.monotonic() < deadline, "no copy is ever torn, checked or not"
