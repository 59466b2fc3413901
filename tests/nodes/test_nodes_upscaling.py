from __future__ import annotations

from pathlib import Path

import pytest
import torch
from nodes_support import Run
from safetensors.torch import save_file

from comfykit.errors import ModelFileError
from comfykit.events import NodeProgress
from comfykit.models.esrgan import RRDBNet, RRDBNetConfig
from comfykit.nodes.upscaling import image_upscale_with_model, upscale_model_loader


@pytest.fixture
def name(tmp_path: Path) -> str:
    folder = tmp_path / "models" / "upscale_models"
    folder.mkdir(parents=True)
    save_file(RRDBNet(RRDBNetConfig(width=8, growth=4, blocks=1)).state_dict(), folder / "x4.safetensors")
    return "x4.safetensors"


@torch.inference_mode()
def test_upscale(run: Run, name: str) -> None:
    upscaler = upscale_model_loader(run.context, name)
    made = image_upscale_with_model(run.context, upscaler, torch.rand(2, 5, 6, 3))
    assert made.shape == (2, 20, 24, 3)
    assert [event for event in run.events if isinstance(event, NodeProgress)] == [
        NodeProgress("1", 1, 2, "tile"),
        NodeProgress("1", 2, 2, "tile"),
    ]


def test_a_file_that_is_not_there(run: Run, name: str) -> None:
    with pytest.raises(ModelFileError, match=r"x2\.safetensors"):
        upscale_model_loader(run.context, "x2.safetensors")
