"""Nodes that lay one picture over another, and those that join and split transparency."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from comfykit.engine.define import boolean, combo, integer, node, number
from comfykit.nodes.align import (
    RGB,
    repeat_to,
    resize_mask,
    resize_picture,
    same_channels,
)
from comfykit.nodes.blending import BLENDS, blend
from comfykit.nodes.images import MAX_SIDE
from comfykit.nodes.porter_duff import OPERATORS, compose
from comfykit.nodes.resize import resize
from comfykit.nodes.types import Image, Mask

Place = Annotated[int, integer(0, 0, MAX_SIDE)]


@node("ImageCompositeMasked", title="ImageCompositeMasked", category="image")
def image_composite_masked(
    destination: Image,
    source: Image,
    x: Place,
    y: Place,
    resize_source: Annotated[bool, boolean(False)],
    mask: Mask | None = None,
) -> Image:
    """Lay a picture over another with its upper left corner at x, y, where a mask is 1.

    The mask gets the size of the source; without one, all of the source shows. With resize_source it is
    resized to the destination first.
    """
    below, above = same_channels(destination, source)
    made = composite(below.movedim(-1, 1), above.movedim(-1, 1), x, y, mask, resize_source=resize_source)
    return made.movedim(1, -1)


@node("ImageBlend", title="ImageBlend", category="image/postprocessing")
def image_blend(
    image1: Image,
    image2: Image,
    blend_factor: Annotated[float, number(0.5, 0.0, 1.0)],
    blend_mode: Annotated[str, combo(tuple(BLENDS))],
) -> Image:
    """Blend a second picture onto the first; blend_factor 0 leaves the first as it is.

    The second gets the size of the first. difference keeps its sign, so that what is negative becomes black.
    """
    backdrop, layer = same_channels(image1, image2)
    layer = resize_picture(layer, backdrop.shape[2], backdrop.shape[1], "bicubic", "center")
    return blend(backdrop, layer, blend_mode, blend_factor)


@node("JoinImageWithAlpha", title="Join Image with Alpha", category="mask/compositing")
def join_image_with_alpha(image: Image, alpha: Mask) -> Image:
    """Make a picture transparent where a mask is 1. Of batches of different lengths the rest is left out."""
    mask = resize_mask(alpha, image.shape[2], image.shape[1])
    size = min(len(image), len(mask))
    return torch.cat((image[:size, ..., :RGB], 1.0 - mask[:size, ..., None].to(image)), -1)


@node("SplitImageWithAlpha", title="Split Image with Alpha", category="mask/compositing")
def split_image_with_alpha(image: Image) -> tuple[Image, Mask]:
    """Take a picture's colours and, as a mask, where it is transparent; 0 for one without transparency."""
    if image.shape[-1] > RGB:
        return image[..., :RGB], 1.0 - image[..., RGB]
    return image, torch.zeros_like(image[..., 0])


@node("PorterDuffImageComposite", title="Porter-Duff Image Composite", category="mask/compositing")
def porter_duff_image_composite(
    source: Image,
    source_alpha: Mask,
    destination: Image,
    destination_alpha: Mask,
    mode: Annotated[str, combo(tuple(OPERATORS), "DST")],
) -> tuple[Image, Mask]:
    """Compose two pictures by an operator of Porter and Duff, or one of their later relatives.

    The masks are 1 where a picture is transparent, as is the result's. All get the size of the
    destination, and of batches of different lengths the rest is left out.
    """
    height, width = destination.shape[1:3]
    size = min(map(len, (source, source_alpha, destination, destination_alpha)))

    def fit(image: Tensor) -> Tensor:
        return resize_picture(image[:size], width, height, "bicubic", "center")

    def fit_mask(mask: Tensor) -> Tensor:
        return resize_mask(mask[:size], width, height, "bicubic", "center")

    above, below = same_channels(fit(source), fit(destination))
    return compose(above, fit_mask(source_alpha), below, fit_mask(destination_alpha), mode)


def composite(
    destination: Tensor,
    source: Tensor,
    x: int,
    y: int,
    mask: Tensor | None,
    *,
    resize_source: bool = False,
) -> Tensor:
    """`source` over `destination`, both [batch, channels, height, width], with its corner at x, y.

    `mask` [batch, height, width] is resized to the source; 1 shows the source, 0 the destination. Source and
    mask are repeated to the destination's batch; what lies beyond its borders is left away.
    """
    height, width = destination.shape[-2:]
    if resize_source:
        source = resize(source, width, height, "bilinear")
    source = repeat_to(source.to(destination), len(destination))
    if mask is None:
        weight = torch.ones_like(source[:, :1])
    else:
        sized = resize_mask(mask.to(destination), source.shape[-1], source.shape[-2])
        weight = repeat_to(sized.reshape(-1, 1, *sized.shape[-2:]), len(destination))
    made = destination.clone()
    under = made[..., y : y + source.shape[-2], x : x + source.shape[-1]]
    shown = (..., slice(under.shape[-2]), slice(under.shape[-1]))
    under.copy_(weight[shown] * source[shown] + (1.0 - weight[shown]) * under)
    return made
