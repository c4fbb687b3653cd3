# SPDX-License-Identifier: MIT
"""camtapd --memory dmabuf on a real kernel driver: vivid with its own memory (vmalloc) and with contiguous memory."""

import os
import pathlib

import pytest
import test_vm
from test_vm import PLAIN, guest

PROBE = pathlib.Path(os.environ["CAMTAP_BUILD"]) / "tests/vm/dmabuf-probe"
TRANSFER = "zero-copy (dma-buf)"
MEMORY = {"vmalloc": "", "contiguous": ",allocators=1"}


@pytest.fixture(autouse=True)
def with_probe(monkeypatch):
    monkeypatch.setattr(test_vm, "PROGRAMS", [*test_vm.PROGRAMS, PROBE])


@pytest.mark.parametrize("memory, planar", [
    pytest.param("vmalloc", "", marks=pytest.mark.long),
    pytest.param("contiguous", "", marks=pytest.mark.long),
    pytest.param("contiguous", ",multiplanar=2", marks=pytest.mark.long),
], ids=["vmalloc", "contiguous", "multi-planar"])
def test_four_readers_see_every_frame_and_the_same_bytes(memory, planar):
    output = guest("capture.sh", "dmabuf", TRANSFER, modules=PLAIN + MEMORY[memory] + planar)
    assert output.count("ok ") >= 3


@pytest.mark.long
@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("planar, formats", [
    ("", ["YUYV:YUYV", "NV12:NV12", "YU12:YU12", "GREY:GREY"]),
    (",multiplanar=2", ["YUYV:YUYV", "NV12:NV12", "NM12:NV12", "NM16:NV16", "YM12:YU12"]),
], ids=["single", "multi"])
def test_frames_are_those_of_the_copy(memory, planar, formats):
    output = guest("dmabuf.sh", *formats, modules=PLAIN + MEMORY[memory] + planar)
    assert output.count("ok ") == len(formats)


@pytest.mark.parametrize("memory", [
    pytest.param("vmalloc", marks=pytest.mark.long), "contiguous"])
def test_what_readers_can_and_cannot_do(memory):
    cases = ["attack@root", "attack@user", "refused", "slow", "hold", "keep", "stall"]
    assert guest("dmabuf.sh", *cases, modules=PLAIN + MEMORY[memory]).count("ok ") == len(cases)


@pytest.mark.long
@pytest.mark.parametrize("memory", MEMORY)
def test_what_dma_bufs_do_not_promise(memory):
    modules = f"vivid:n_devs=2,node_types=0x1,0x1{MEMORY[memory]}"
    if memory == "contiguous":
        modules += ",1"
    assert guest("dmabuf.sh", "overwrite", modules=modules).count("ok ") == 1
