from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest
import torch
from nodes_support import Run
from PIL import Image

from comfykit.errors import UsageError
from comfykit.nodes.png16 import write_png16
from comfykit.nodes.saving_more import save_image_advanced, save_text
from comfykit.workflow.read import read_workflow

PROMPT = {"6": {"class_type": "CLIPTextEncode", "inputs": {"text": '狐 é \\ "', "clip": ["4", 1]}}}


def images() -> torch.Tensor:
    return torch.rand(2, 4, 6, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("depth", ["8-bit", "16-bit"])
def test_advanced(run: Run, depth: str) -> None:
    given = images()
    made: Any = save_image_advanced(given, "x", "png", {"bit_depth": depth}, run.context, PROMPT)
    assert made.result[0] is given
    assert [file["filename"] for file in made.ui["images"]] == ["x_00001_.png", "x_00002_.png"]
    path = run.settings.output_dir / "x_00002_.png"
    assert read_workflow(path).prompt == PROMPT
    assert path.read_bytes()[24] == int(depth.removesuffix("-bit"))
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert np.abs(pixels - (given[1] * 255).numpy()).max() <= 1


def test_formats_that_are_not_written(run: Run) -> None:
    with pytest.raises(UsageError, match="exr, 32-bit float"):
        save_image_advanced(images(), "x", "exr", {"bit_depth": "32-bit float"}, run.context)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_kept(run: Run, channels: int) -> None:
    image = torch.rand(3, 5, channels)
    path = run.settings.input_dir / "x.png"
    write_png16(image, path, {}, 4)
    written = path.read_bytes()
    begin = written.index(b"IDAT")
    (size,) = struct.unpack(">I", written[begin - 4 : begin])
    rows = np.frombuffer(zlib.decompress(written[begin + 4 : begin + 4 + size]), np.uint8).reshape(3, -1)
    assert not rows[:, 0].any()
    values = np.ascontiguousarray(rows[:, 1:]).view(">u2").reshape(3, 5, channels)
    assert np.abs(values / 65535.0 - image.numpy()).max() <= 0.5001 / 65535
    with Image.open(path) as picture:
        picture.load()
        assert picture.size == (5, 3)


def test_a_tensor_that_is_no_picture(run: Run) -> None:
    with pytest.raises(UsageError, match="is no picture"):
        write_png16(torch.rand(3, 5, 2), run.settings.input_dir / "x.png", {}, 4)


def test_texts(run: Run) -> None:
    made: Any = save_text("狐\r\n", run.context, "t/x")
    assert made.result == ("狐\r\n",)
    assert (run.settings.output_dir / "t/x_00001_.txt").read_bytes() == "狐\r\n".encode()
    save_text('{"a":[1]}', run.context, "j", "json")
    save_text("no json", run.context, "j", "json")
    assert (run.settings.output_dir / "j_00001_.json").read_text() == '{\n  "a": [\n    1\n  ]\n}'
    assert (run.settings.output_dir / "j_00002_.json").read_text() == "no json"
