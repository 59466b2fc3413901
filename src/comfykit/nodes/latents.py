"""Nodes that make and resize latents. A latent pixel stands for 8 x 8 pixels of the picture."""

from __future__ import annotations

from typing import Annotated

import torch

from comfykit.engine.define import combo, integer, node, number
from comfykit.nodes.images import CROPS, MAX_SIDE
from comfykit.nodes.resize import fill_in_size, resize
from comfykit.nodes.types import Latent

CHANNELS = 4
PIXELS = 8  # side of the square of the picture that a latent pixel stands for
LEAST_SIDE = 64
METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "bislerp")


@node("EmptyLatentImage", title="Empty Latent Image", category="latent")
def empty_latent_image(
    width: Annotated[int, integer(512, 16, MAX_SIDE, 8)],
    height: Annotated[int, integer(512, 16, MAX_SIDE, 8)],
    batch_size: Annotated[int, integer(1, 1, 4096)],
) -> Latent:
    """Make a batch of empty latents, to be filled by a sampler. Sizes are those of the pictures."""
    return {"samples": torch.zeros(batch_size, CHANNELS, height // PIXELS, width // PIXELS)}


@node("LatentUpscale", title="Upscale Latent", category="latent")
def latent_upscale(
    samples: Latent,
    upscale_method: Annotated[str, combo(METHODS)],
    width: Annotated[int, integer(512, 0, MAX_SIDE, 8)],
    height: Annotated[int, integer(512, 0, MAX_SIDE, 8)],
    crop: Annotated[str, combo(CROPS)],
) -> Latent:
    """Resize to the size of a picture; a side that is 0 keeps the aspect ratio, two leave it as it is."""
    if width == height == 0:
        return samples
    old = samples["samples"]
    width, height = fill_in_size(width, height, old.shape[-1], old.shape[-2], LEAST_SIDE)
    return {**samples, "samples": resize(old, width // PIXELS, height // PIXELS, upscale_method, crop)}


@node("LatentUpscaleBy", title="Upscale Latent By", category="latent")
def latent_upscale_by(
    samples: Latent,
    upscale_method: Annotated[str, combo(METHODS)],
    scale_by: Annotated[float, number(1.5, 0.01, 8.0)],
) -> Latent:
    """Resize both sides by a factor."""
    old = samples["samples"]
    width, height = (max(1, round(side * scale_by)) for side in (old.shape[-1], old.shape[-2]))
    return {**samples, "samples": resize(old, width, height, upscale_method)}
