"""`comfy.ldm.modules.diffusionmodules.openaimodel`: the U-Net's parts by name, to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from comfykit.compat.host.comfy.ldm.modules import attention
from comfykit.compat.host.comfy.ldm.modules.attention import (
    SpatialTransformer,
    SpatialVideoTransformer,
    name_of,
)
from comfykit.compat.host.comfy.ldm.modules.diffusionmodules.util import timestep_embedding
from comfykit.models import layers, resblock, unet

__all__ = [
    "SpatialTransformer",
    "SpatialVideoTransformer",
    "UNetModel",
    "apply_control",
    "timestep_embedding",
]

UNetModel: Any = name_of(unet.UNet, "UNetModel", __name__)
TimestepEmbedSequential: Any = name_of(unet.UNetBlock, "TimestepEmbedSequential", __name__)
ResBlock: Any = name_of(resblock.ResBlock, "ResBlock", __name__)
Downsample: Any = name_of(layers.Downsample, "Downsample", __name__)
Upsample: Any = name_of(layers.Upsample, "Upsample", __name__)
VideoResBlock: Any = name_of(attention._Nothing, "VideoResBlock", __name__)


class TimestepBlock(nn.Module):
    """A layer that is told the timestep; packs mark theirs with it."""


def apply_control(h: Tensor, control: Mapping[str, list[Any]] | None, name: str) -> Tensor:
    """The features with the next residual of a place, which is taken from its list."""
    residuals = control.get(name) if control is not None else None
    found = residuals.pop() if residuals else None
    return h if found is None else h + found


def forward_timestep_embed(ts: Any, x: Tensor, emb: Tensor, context: Any = None, **further: Any) -> Tensor:
    """The layers of a block, each handed what it needs."""
    size = (further.get("output_shape") or x.shape)[-2:]
    found: Tensor = ts(x, emb, context, size) if isinstance(ts, unet.UNetBlock) else ts(x)
    return found
