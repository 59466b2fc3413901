"""A tiny text encoder with random weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from comfykit.models.clip_text import ClipText, ClipTextConfig


@pytest.fixture
def tiny_tensors() -> dict[str, Tensor]:
    """Tensors of an encoder of width 128 and 3 layers; every value is exact in half precision."""
    generator = torch.Generator().manual_seed(0)
    config = ClipTextConfig(width=128, heads=2, layers=3, mlp_width=256)
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in ClipText(config).state_dict().items()}
    return {name: (torch.randn(shape, generator=generator) * 0.1).half() for name, shape in shapes.items()}
