"""`comfy.ldm.wan.model`: names of a network that comfykit does not have, and its position encoding."""

from __future__ import annotations

import torch
from torch import Tensor

from comfykit.compat.absent import classes

globals().update(
    classes(__name__, "WanAttentionBlock WanI2VCrossAttention WanModel WanSelfAttention WanT2VCrossAttention")
)


def sinusoidal_embedding_1d(dim: int, position: Tensor) -> Tensor:
    """Positions [n] -> [n, dim], cosines before sines."""
    half = dim // 2
    steps = torch.arange(half, device=position.device).to(torch.float64)
    angles = torch.outer(position.to(torch.float64), 10000 ** -(steps / half))
    return torch.cat([angles.cos(), angles.sin()], dim=1)
