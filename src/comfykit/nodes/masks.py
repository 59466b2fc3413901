"""Nodes that make, change and combine masks: MASK [batch, height, width], 0 to 1."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from comfykit.engine.define import boolean, combo, integer, node, number
from comfykit.errors import UsageError
from comfykit.nodes.align import RGB, repeat_to
from comfykit.nodes.images import MAX_SIDE
from comfykit.nodes.morphology import grow
from comfykit.nodes.types import Image, Mask

CHANNELS = ("red", "green", "blue", "alpha")
OPERATIONS = ("multiply", "add", "subtract", "and", "or", "xor")

Side = Annotated[int, integer(512, 1, MAX_SIDE)]
Place = Annotated[int, integer(0, 0, MAX_SIDE)]


@node("SolidMask", title="SolidMask", category="mask")
def solid_mask(value: Annotated[float, number(1.0, 0.0, 1.0)], width: Side, height: Side) -> Mask:
    """Make a mask of one value."""
    return torch.full((1, height, width), value)


@node("InvertMask", title="InvertMask", category="mask")
def invert_mask(mask: Mask) -> Mask:
    """Turn a mask round: what was 0 is 1."""
    return 1.0 - mask


@node("ThresholdMask", title="ThresholdMask", category="mask")
def threshold_mask(mask: Mask, value: Annotated[float, number(0.5, 0.0, 1.0)]) -> Mask:
    """Make a mask of 0 and 1 only: 1 where it is above a value."""
    return (mask > value).float()


@node("CropMask", title="CropMask", category="mask")
def crop_mask(mask: Mask, x: Place, y: Place, width: Side, height: Side) -> Mask:
    """Cut a rectangle out of a mask; what would lie beyond its borders is left away."""
    return batched(mask)[:, y : y + height, x : x + width]


@node("FeatherMask", title="FeatherMask", category="mask")
def feather_mask(mask: Mask, left: Place, top: Place, right: Place, bottom: Place) -> Mask:
    """Fade a mask out towards its borders, over so many pixels on each side."""
    made = batched(mask)
    fade_x = _fade(made.shape[-1], left, right).to(made)
    return made * _fade(made.shape[-2], top, bottom).to(made)[:, None] * fade_x


@node("GrowMask", title="GrowMask", category="mask")
def grow_mask(
    mask: Mask,
    expand: Annotated[int, integer(0, -MAX_SIDE, MAX_SIDE)],
    tapered_corners: Annotated[bool, boolean(True)],
) -> Mask:
    """Grow what a mask shows by so many pixels, shrink it by a negative number of them.

    With tapered_corners it grows along rows and columns, which cuts corners; otherwise in squares.
    """
    return grow(batched(mask), expand, tapered=tapered_corners)


@node("MaskComposite", title="MaskComposite", category="mask")
def mask_composite(
    destination: Mask,
    source: Mask,
    x: Place,
    y: Place,
    operation: Annotated[str, combo(OPERATIONS)],
) -> Mask:
    """Combine a mask with another one whose upper left corner lies at x, y.

    and, or and xor round both to 0 or 1 first. What lies outside the second mask stays.
    """
    made, other = batched(destination).clone(), batched(source).to(destination)
    under = made[:, y : y + other.shape[-2], x : x + other.shape[-1]]
    over = repeat_to(other[:, : under.shape[-2], : under.shape[-1]], len(made))
    under.copy_(_combined(under, over, operation))
    return made.clamp_(0.0, 1.0)


@node("MaskToImage", title="Convert Mask to Image", category="mask")
def mask_to_image(mask: Mask) -> Image:
    """Make a grey picture of a mask."""
    return batched(mask)[..., None].expand(-1, -1, -1, RGB)


@node("ImageToMask", title="Convert Image to Mask", category="mask")
def image_to_mask(image: Image, channel: Annotated[str, combo(CHANNELS)]) -> Mask:
    """Make a mask of one channel of a picture."""
    index = CHANNELS.index(channel)
    if index >= image.shape[-1]:
        raise UsageError(
            f"the picture has {image.shape[-1]} channels, and no {channel} among them",
            hint="LoadImage gives transparency as a mask of its own" if channel == "alpha" else None,
        )
    return image[..., index]


@node("ImageColorToMask", title="ImageColorToMask", category="mask")
def image_color_to_mask(
    image: Image, color: Annotated[int, integer(0, 0, 0xFFFFFF, display="color")]
) -> Mask:
    """Make a mask that is 1 where a picture has exactly a colour, given as the number 0xRRGGBB."""
    wanted = torch.tensor([color >> 16, color >> 8 & 0xFF, color & 0xFF], device=image.device)
    eight_bit = (image[..., :RGB].clamp(0.0, 1.0) * 255.0).round().long()
    return (eight_bit == wanted).all(-1).float()


def batched(mask: Tensor) -> Tensor:
    """MASK with its batch, which custom nodes sometimes leave away."""
    return mask.reshape(-1, *mask.shape[-2:])


def _fade(size: int, before: int, after: int) -> Tensor:
    """Factors along a side: rising from its begin over `before` pixels, falling to its end over `after`.

    As in ComfyUI 0.3.64 the fall is one pixel late: the last pixel has the second step, and the least one
    falls on the first pixel of the side.
    """
    inwards = torch.arange(1.0, size + 1.0)
    factors = torch.ones(size)
    if before:
        factors *= (inwards / min(before, size)).clamp(max=1.0)
    if after:
        steps = min(after, size)
        factors *= ((inwards.flip(0) + 1.0) / steps).clamp(max=1.0)
        factors[0] /= steps
    return factors


def _combined(under: Tensor, over: Tensor, operation: str) -> Tensor:
    match operation:
        case "multiply":
            return under * over
        case "add":
            return under + over
        case "subtract":
            return under - over
    ours, theirs = under.round().bool(), over.round().bool()
    both = {"and": ours & theirs, "or": ours | theirs, "xor": ours ^ theirs}
    return both[operation].to(under)
