from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from nodes_support import Run
from PIL import Image

from comfykit.nodes.animation import EXIF_MODEL, save_animated_png, save_animated_webp

PROMPT = {"1": {"class_type": "LoadImage", "inputs": {"image": "狐.png"}}}
EXTRA = {"workflow": {"nodes": []}}


def frames() -> torch.Tensor:
    return torch.rand(3, 8, 12, 3, generator=torch.Generator().manual_seed(0))


def saved(run: Run, name: str) -> Path:
    return run.settings.output_dir / name


def same(path: Path, images: torch.Tensor) -> bool:
    with Image.open(path) as picture:
        found = []
        for index in range(picture.n_frames):  # type: ignore[attr-defined]
            picture.seek(index)
            found.append(np.asarray(picture.convert("RGB")))
        return np.array_equal(np.stack(found), (images * 255).to(torch.uint8).numpy())


def test_png(run: Run) -> None:
    made = save_animated_png(frames(), "a/x", 8.0, 4, run.context, PROMPT, EXTRA)
    assert made.ui["animated"] == [True]
    assert made.ui["images"] == [{"filename": "x_00001_.png", "subfolder": "a", "type": "output"}]
    path = saved(run, "a/x_00001_.png")
    assert same(path, frames())
    with Image.open(path) as picture:
        assert picture.info["duration"] == 125
    written = path.read_bytes()
    assert b"comfprompt\0" + json.dumps(PROMPT).encode() in written
    assert b"comfworkflow\0" + json.dumps(EXTRA["workflow"]).encode() in written


def test_webp(run: Run) -> None:
    save_animated_webp(frames(), "x", 10.0, True, 80, "fastest", run.context, PROMPT, EXTRA)
    path = saved(run, "x_00001_.webp")
    assert same(path, frames())
    with Image.open(path) as picture:
        exif = picture.getexif()
        assert exif[EXIF_MODEL] == f"prompt:{json.dumps(PROMPT)}"
        assert exif[EXIF_MODEL - 1] == f"workflow:{json.dumps(EXTRA['workflow'])}"


@pytest.mark.parametrize("method", ["default", "slowest"])
def test_lossy_webp_of_one_frame(run: Run, method: str) -> None:
    save_animated_webp(frames()[:1], "x", 10.0, False, 5, method, run.context)
    with Image.open(saved(run, "x_00001_.webp")) as picture:
        assert picture.size == (12, 8)
