"""Nodes that resize pictures and masks to a size that they work out, and one that works one out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from torch import Tensor

from comfykit.engine.define import combo, integer, node, number, socket
from comfykit.errors import UsageError
from comfykit.nodes.align import fit_within, resize_mask, resize_picture
from comfykit.nodes.dynamic import Group, grouped, optional
from comfykit.nodes.images import CROPS, MAX_SIDE, METHODS
from comfykit.nodes.types import Image, Int

MEGAPIXEL = 1024 * 1024
LARGEST = 8192  # of the newer nodes

# In ComfyUI's order, which names one method twice.
LARGEST_METHODS = ("area", "lanczos", "bilinear", "nearest-exact", "bilinear", "bicubic")
PADDING_METHODS = ("area", "bicubic", "nearest-exact", "bilinear", "lanczos")
PADDING: Mapping[str, float] = {"white": 1.0, "black": 0.0}

ASPECT_RATIOS = (
    "1:1 (Square)",
    "2:3 (Portrait Photo)",
    "3:2 (Photo)",
    "3:4 (Portrait Standard)",
    "4:3 (Standard)",
    "9:16 (Portrait Widescreen)",
    "16:9 (Widescreen)",
    "21:9 (Ultrawide)",
)

ImageOrMask = Annotated[Tensor, socket("IMAGE,MASK")]
Size = tuple[int, int]  # width, height
_pixels = integer(512, 0, LARGEST)

RESIZE_OPTIONS = optional(
    width=_pixels,
    height=_pixels,
    crop=combo(CROPS, "center"),
    multiplier=number(1.0, 0.01, 8.0),
    longer_size=_pixels,
    shorter_size=_pixels,
    megapixels=number(1.0, 0.01, 16.0),
    match=socket("IMAGE,MASK"),
    multiple=integer(8, 1, LARGEST),
)


@node("ImageScaleToTotalPixels", title="ImageScaleToTotalPixels", category="image/upscaling")
def image_scale_to_total_pixels(
    image: Image,
    upscale_method: Annotated[str, combo(METHODS)],
    megapixels: Annotated[float, number(1.0, 0.01, 16.0)],
) -> Image:
    """Resize to so many million pixels (of 1024 x 1024), keeping the aspect ratio."""
    size = with_total_pixels(image.shape[2], image.shape[1], megapixels)
    return resize_picture(image, *size, upscale_method)


@node("ImageScaleToMaxDimension", title="ImageScaleToMaxDimension", category="image/upscaling")
def image_scale_to_max_dimension(
    image: Image,
    upscale_method: Annotated[str, combo(LARGEST_METHODS)],
    largest_size: Annotated[int, integer(512, 0, MAX_SIDE)],
) -> Image:
    """Resize so that the longer side has so many pixels, keeping the aspect ratio."""
    return resize_picture(
        image, *with_longer_side(image.shape[2], image.shape[1], largest_size), upscale_method
    )


@node("ResizeImagesByLongerEdge", title="Resize Images by Longer Edge", category="image/transform")
def resize_images_by_longer_edge(
    images: Image, longer_edge: Annotated[int, integer(1024, 1, LARGEST)]
) -> Annotated[Tensor, socket("IMAGE")]:
    """Resize so that the longer side has so many pixels, by Pillow's Lanczos filter."""
    return resize_picture(images, *with_longer_side(images.shape[2], images.shape[1], longer_edge), "lanczos")


@node("ResizeAndPadImage", title="ResizeAndPadImage", category="image/transform")
def resize_and_pad_image(
    image: Image,
    target_width: Annotated[int, integer(512, 1, MAX_SIDE)],
    target_height: Annotated[int, integer(512, 1, MAX_SIDE)],
    padding_color: Annotated[str, combo(tuple(PADDING))],
    interpolation: Annotated[str, combo(PADDING_METHODS)],
) -> Image:
    """Fit a picture into a size, keeping the aspect ratio; margins on both ends fill what is left."""
    return fit_within(image, target_width, target_height, interpolation, PADDING[padding_color])


@node("ResolutionSelector", title="Resolution Selector", category="utils", output_names=("width", "height"))
def resolution_selector(
    aspect_ratio: Annotated[str, combo(ASPECT_RATIOS, "1:1 (Square)")],
    megapixels: Annotated[float, number(1.0, 0.1, 16.0, 0.1)],
    multiple: Annotated[int, integer(8, 8, 128, 4)] = 8,
) -> tuple[Int, Int]:
    """Work out width and height of an aspect ratio with so many million pixels (of 1024 x 1024).

    Both are rounded to multiples of `multiple`.
    """
    across, down = (int(part) for part in aspect_ratio.split(" ")[0].split(":"))
    unit = math.sqrt(megapixels * MEGAPIXEL / (across * down))
    return to_multiple(across * unit, multiple), to_multiple(down * unit, multiple)


def with_total_pixels(width: int, height: int, megapixels: float) -> Size:
    """The size of that aspect ratio with so many times 1024 x 1024 pixels."""
    factor = math.sqrt(int(megapixels * MEGAPIXEL) / (width * height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def with_longer_side(width: int, height: int, side: int) -> Size:
    """The size of that aspect ratio whose longer side is `side`."""
    factor = side / max(width, height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def with_shorter_side(width: int, height: int, side: int) -> Size:
    """The size of that aspect ratio whose shorter side is `side`."""
    factor = side / min(width, height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def to_multiple(value: float, multiple: int) -> int:
    """The multiple that is nearest to a value, at least one."""
    return max(1, round(value / multiple)) * multiple


def _dimensions(width: int, height: int, options: Mapping[str, Any]) -> Size:
    """Asked for outright; a side of 0 follows from the other."""
    wide, high = options.get("width", 512), options.get("height", 512)
    if not wide and not high:
        return width, height
    if not wide:
        return max(1, round(width * high / height)), high
    return wide, high or max(1, round(height * wide / width))


def _matched(width: int, height: int, options: Mapping[str, Any]) -> Size:
    match = options.get("match")
    if match is None:
        raise UsageError("'match size' needs a picture or mask to match", hint="link resize_type.match")
    if match.ndim == 4:
        return match.shape[2], match.shape[1]
    return match.shape[-1], match.shape[-2]


# What each type of resizing makes of a width, a height and its options.
RESIZE_TYPES: Mapping[str, Callable[[int, int, Mapping[str, Any]], Size]] = {
    "scale dimensions": _dimensions,
    "scale by multiplier": lambda width, height, options: (
        max(1, round(width * options.get("multiplier", 1.0))),
        max(1, round(height * options.get("multiplier", 1.0))),
    ),
    "scale longer dimension": lambda width, height, options: with_longer_side(
        width, height, options.get("longer_size", 512)
    ),
    "scale shorter dimension": lambda width, height, options: with_shorter_side(
        width, height, options.get("shorter_size", 512)
    ),
    "scale width": lambda width, height, options: _dimensions(
        width, height, {"width": options.get("width", 512), "height": 0}
    ),
    "scale height": lambda width, height, options: _dimensions(
        width, height, {"width": 0, "height": options.get("height", 512)}
    ),
    "scale total pixels": lambda width, height, options: with_total_pixels(
        width, height, options.get("megapixels", 1.0)
    ),
    "match size": _matched,
    "scale to multiple": lambda width, height, options: (
        max(1, width // options.get("multiple", 8)) * options.get("multiple", 8),
        max(1, height // options.get("multiple", 8)) * options.get("multiple", 8),
    ),
}

# The options that belong to each type.
RESIZE_BRANCHES: Mapping[str, tuple[str, ...]] = {
    "scale dimensions": ("width", "height", "crop"),
    "scale by multiplier": ("multiplier",),
    "scale longer dimension": ("longer_size",),
    "scale shorter dimension": ("shorter_size",),
    "scale width": ("width",),
    "scale height": ("height",),
    "scale total pixels": ("megapixels",),
    "match size": ("match", "crop"),
    "scale to multiple": ("multiple",),
}

# Those whose result may have another aspect ratio crop as `crop` says, or from the middle.
_CROPPING = {"scale dimensions", "match size", "scale to multiple"}


@grouped("options", RESIZE_OPTIONS, "resize_type", RESIZE_BRANCHES)
@node("ResizeImageMaskNode", title="Resize Image/Mask", category="transform", output_names=("resized",))
def resize_image_mask(
    input: ImageOrMask,  # noqa: A002  (the name that workflows use)
    resize_type: Annotated[str, combo(tuple(RESIZE_TYPES), "scale dimensions")],
    options: Group,
    scale_method: Annotated[str, combo(METHODS, "area")],
) -> ImageOrMask:
    """Resize a picture or a mask; what `resize_type.*` means depends on the type.

    scale dimensions takes width and height (0 follows from the other) and crop; scale by multiplier a
    factor; longer, shorter, width and height one side; total pixels megapixels; match size another
    picture or mask; scale to multiple a number that both sides are cut down to be divisible by.
    """
    is_picture = input.ndim == 4
    height, width = input.shape[1:3] if is_picture else input.shape[-2:]
    wide, high = RESIZE_TYPES[resize_type](width, height, options)
    crop = options.get("crop", "center") if resize_type in _CROPPING else "disabled"
    fit = resize_picture if is_picture else resize_mask
    return fit(input, max(1, wide), max(1, high), scale_method, crop)
