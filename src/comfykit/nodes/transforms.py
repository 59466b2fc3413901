"""Nodes that crop, turn, join and pad pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from comfykit.engine.define import boolean, combo, integer, node
from comfykit.engine.schema import Input
from comfykit.errors import UsageError
from comfykit.nodes.align import extend_to, resize_picture, same_channels
from comfykit.nodes.images import MAX_SIDE
from comfykit.nodes.types import Image, Mask

FLIPS = ("x-axis: vertically", "y-axis: horizontally")
ROTATIONS = ("none", "90 degrees", "180 degrees", "270 degrees")
COLORS: Mapping[str, tuple[float, float, float]] = {
    "white": (1.0, 1.0, 1.0),
    "black": (0.0, 0.0, 0.0),
    "red": (1.0, 0.0, 0.0),
    "green": (0.0, 1.0, 0.0),
    "blue": (0.0, 0.0, 1.0),
}
GREY = 0.5  # what outpainting begins from

Side = Annotated[int, integer(512, 1, MAX_SIDE)]
Place = Annotated[int, integer(0, 0, MAX_SIDE)]
Margin = Annotated[int, integer(0, 0, MAX_SIDE, 8)]


@node("ImageCrop", title="Image Crop", category="image/transform")
def image_crop(image: Image, width: Side, height: Side, x: Place, y: Place) -> Image:
    """Cut a rectangle out of a picture; what would lie beyond its borders is left away."""
    return crop(image, x, y, width, height)


@node("ImageCropV2", title="Crop Image", category="image/transform")
def image_crop_region(image: Image, crop_region: Annotated[dict[str, Any], Input("BOUNDING_BOX")]) -> Image:
    """Cut a rectangle {"x", "y", "width", "height"} out of a picture, as far as it lies within."""
    try:
        x, y, width, height = (int(crop_region[name]) for name in ("x", "y", "width", "height"))
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"crop_region is {crop_region!r}", hint='it takes {"x": 0, "y": 0, "width": 512, "height": 512}'
        ) from error
    return crop(image, x, y, width, height)


@node("ImageFlip", title="ImageFlip", category="image/transform")
def image_flip(image: Image, flip_method: Annotated[str, combo(FLIPS)]) -> Image:
    """Mirror a picture: about the x axis turns it upside down, about the y axis swaps left and right."""
    return image.flip(1 if flip_method == FLIPS[0] else 2)


@node("ImageRotate", title="ImageRotate", category="image/transform")
def image_rotate(image: Image, rotation: Annotated[str, combo(ROTATIONS)]) -> Image:
    """Turn a picture clockwise."""
    return torch.rot90(image, ROTATIONS.index(rotation), (2, 1))


@node("ImageStitch", title="Image Stitch", category="image/transform")
def image_stitch(
    image1: Image,
    direction: Annotated[str, combo(("right", "down", "left", "up"), "right")],
    match_image_size: Annotated[bool, boolean(True)],
    spacing_width: Annotated[int, integer(0, 0, 1024, 2)],
    spacing_color: Annotated[str, combo(tuple(COLORS), "white")],
    image2: Image | None = None,
) -> Image:
    """Put a second picture beside the first, on the side that `direction` names, with a band between.

    With match_image_size the second is enlarged or reduced until the sides that touch are equally long;
    without, the smaller one gets black margins. The shorter batch repeats its last picture.
    """
    if image2 is None:
        return image1
    across = 1 if direction in ("left", "right") else 2  # the axis that both must share
    along = 3 - across
    fit = _scaled_to_side if match_image_size else _padded_to_side
    first, second = image1, fit(image2, image1.shape[across], across)
    if not match_image_size:
        first = fit(image1, image2.shape[across], across)
    longest = max(len(first), len(second))
    first, second = same_channels(extend_to(first, longest), extend_to(second, longest))
    parts = [first, second] if direction in ("right", "down") else [second, first]
    if spacing_width:
        shape = list(first.shape)
        shape[along] = spacing_width + spacing_width % 2
        parts.insert(1, filled(shape, COLORS[spacing_color]).to(first))
    return torch.cat(parts, along)


@node("ImagePadForOutpaint", title="Pad Image for Outpainting", category="image")
def image_pad_for_outpaint(
    image: Image,
    left: Margin,
    top: Margin,
    right: Margin,
    bottom: Margin,
    feathering: Annotated[int, integer(40, 0, MAX_SIDE)],
) -> tuple[Image, Mask]:
    """Add grey margins to a picture, and make the mask of what is to be painted there.

    The mask is 1 on the margins and falls, over `feathering` pixels into the picture, to 0; a picture that
    is not twice as large as that is not feathered.
    """
    margins = (left, right, top, bottom)
    padded = F.pad(image, (0, 0, *margins), value=GREY)
    inside = outpaint_feather(image.shape[1], image.shape[2], margins, feathering)
    return padded, F.pad(inside, margins, value=1.0)[None]


def crop(image: Tensor, x: int, y: int, width: int, height: int) -> Tensor:
    """The part of IMAGE that lies in a rectangle, at least one pixel a side."""
    x, y = min(max(0, x), image.shape[2] - 1), min(max(0, y), image.shape[1] - 1)
    return image[:, y : y + max(1, height), x : x + max(1, width)]


def filled(shape: list[int], color: tuple[float, float, float]) -> Tensor:
    """IMAGE of one colour; channels after the third are 1."""
    values = torch.ones(shape[-1])
    values[:3] = torch.tensor(color)[: shape[-1]]
    return values.expand(shape)


def outpaint_feather(height: int, width: int, margins: tuple[int, int, int, int], feathering: int) -> Tensor:
    """Mask [height, width] of a picture between margins (left, right, top, bottom).

    It is the square of how deep in the feather a pixel lies; sides without a margin have none.
    """
    if not 0 < feathering * 2 < min(height, width):
        return torch.zeros(height, width)

    def distance(size: int, before: int, after: int) -> Tensor:
        place = torch.arange(float(size))
        far = torch.full((size,), torch.inf)
        return torch.minimum(place if before else far, size - place if after else far)

    left, right, top, bottom = margins
    nearest = torch.minimum(distance(height, top, bottom)[:, None], distance(width, left, right)[None, :])
    return ((feathering - nearest) / feathering).clamp_(min=0.0) ** 2


def _scaled_to_side(image: Tensor, side: int, axis: int) -> Tensor:
    """Resized so that an axis is `side` long, the aspect ratio kept."""
    height, width = image.shape[1:3]
    if axis == 1:
        return resize_picture(image, max(1, int(side * width / height)), side, "lanczos")
    return resize_picture(image, side, max(1, int(side * height / width)), "lanczos")


def _padded_to_side(image: Tensor, side: int, axis: int) -> Tensor:
    """With black margins, halved on both ends, so that an axis is at least `side` long."""
    missing = max(0, side - image.shape[axis])
    margins = [0, 0] * (3 - axis) + [missing // 2, missing - missing // 2]
    return F.pad(image, margins)
