"""Checkpoints of the published sizes, with random weights: they load and make a small picture."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from comfykit.services.run import Runner
from comfykit.settings import resolve
from comfykit.workflow.override import override
from random_weights import random_workflow


@pytest.mark.slow
@pytest.mark.parametrize("family", ["sd21", "sdxl", "sdxl_refiner"])
def test_a_full_size_checkpoint_makes_a_picture(shared: Path, tmp_path: Path, family: str) -> None:
    path = tmp_path / "models" / "checkpoints" / f"{family}.safetensors"
    make = shared / "synth" / "make_checkpoint.py"
    try:
        subprocess.run([sys.executable, make, family, path, "--dtype", "fp16"], check=True)
        settings = resolve({"home": tmp_path, "device": "cpu"}, environment={})
        changes = (f"1.ckpt_name={path.name}", "4.width=64", "4.height=64", "5.steps=2")
        result = Runner(settings).run(override(random_workflow(), changes, None))
    finally:
        path.unlink(missing_ok=True)
    assert result.succeeded, result.error
    (file,) = result.outputs["7"]
    with Image.open(settings.output_dir / file["filename"]) as picture:
        assert picture.size == (64, 64)
        low, high = picture.convert("L").getextrema()
    assert low != high
