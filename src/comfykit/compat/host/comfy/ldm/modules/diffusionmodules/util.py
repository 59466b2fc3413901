"""`comfy.ldm.modules.diffusionmodules.util`: small functions of diffusion networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from comfykit.compat.absent import classes
from comfykit.models.layers import timestep_embedding as embed

globals().update(classes(__name__, "AlphaBlender"))


def timestep_embedding(
    timesteps: Tensor, dim: int, max_period: float = 10000, repeat_only: bool = False
) -> Tensor:
    """Sinusoids of timesteps [batch] -> [batch, dim]."""
    return timesteps[:, None].repeat(1, dim) if repeat_only else embed(timesteps, dim, max_period)


def zero_module(module: nn.Module) -> nn.Module:
    """The module, its parameters 0."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    return module


def checkpoint(func: Callable[..., Any], inputs: Any, params: Any, flag: bool) -> Any:
    """The function's result; nothing is kept for gradients."""
    return func(*inputs)


def avg_pool_nd(dims: int, *args: Any, **kwargs: Any) -> nn.Module:
    """Average pooling over 1, 2 or 3 axes."""
    kinds: dict[int, type[nn.Module]] = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
    return kinds[dims](*args, **kwargs)
