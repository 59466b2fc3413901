"""Nodes that change the brightness, contrast, saturation and sharpness of pictures.

`AdjustBrightness` and `AdjustContrast` are core nodes newer than ComfyUI 0.3.64. No core node changes
saturation, so that the best-known one of a pack is here under its name and with its interface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, TypeAlias

import numpy as np
import torch
from PIL import Image as Pillow
from PIL import ImageEnhance, ImageFilter
from torch import Tensor

from comfykit.engine.define import combo, integer, node, number
from comfykit.nodes.align import RGB
from comfykit.nodes.types import Image

MIDDLE = 0.5  # the gray that contrast leaves as it is

Step: TypeAlias = Callable[[Pillow.Image], Pillow.Image]
Factor = Annotated[float, number(1.0, 0.0, 2.0)]


@node("AdjustBrightness", title="Adjust Brightness", category="image/postprocessing")
def adjust_brightness(image: Image, factor: Factor) -> Image:
    """Make a picture brighter or darker: every value times `factor`, 0 to 2; 1 changes nothing.

    What becomes brighter than white is white. Alpha stays as it is.
    """
    return _with_alpha_of(image, image[..., :RGB] * factor)


@node("AdjustContrast", title="Adjust Contrast", category="image/postprocessing")
def adjust_contrast(image: Image, factor: Factor) -> Image:
    """Change how far values lie from middle gray: (value - 0.5) times `factor`, 0 to 2, plus 0.5.

    0 makes all of the picture gray, 1 changes nothing. Alpha stays as it is.
    """
    return _with_alpha_of(image, (image[..., :RGB] - MIDDLE) * factor + MIDDLE)


@node("Image Filter Adjustments", title="Image Filter Adjustments", category="WAS Suite/Image/Filter")
def image_filter_adjustments(
    image: Image,
    brightness: Annotated[float, number(0.0, -1.0, 1.0)],
    contrast: Annotated[float, number(1.0, -1.0, 2.0)],
    saturation: Annotated[float, number(1.0, 0.0, 5.0)],
    sharpness: Annotated[float, number(1.0, -5.0, 5.0)],
    blur: Annotated[int, integer(0, 0, 16)],
    gaussian_blur: Annotated[float, number(0.0, 0.0, 1024.0, 0.1)],
    edge_enhance: Annotated[float, number(0.0, 0.0, 1.0)],
    detail_enhance: Annotated[str, combo(("false", "true"))],
) -> Image:
    """Adjust a picture in up to eight steps, in the order of the inputs; defaults change nothing.

    A node of the pack WAS Node Suite. `brightness` is added to every value, and the sum is multiplied by
    `contrast`: unlike that of AdjustContrast it keeps black, not middle gray. `saturation` 0 leaves
    gray, 1 the picture, more exceeds its colours; `sharpness` 0 is smoothed, 1 the picture, more exceeds it
    (both are Pillow's enhancers). Then come, so many times, the mean of the ring two pixels around, a
    Gaussian blur of a radius in pixels, a share of Pillow's strong edge filter, and its detail filter. All
    after `contrast` happens in 8 bits. Alpha is dropped.
    """
    made = image[..., :RGB]
    if brightness:
        made = (made + brightness).clamp(0.0, 1.0)
    if contrast != 1.0:
        made = (made * contrast).clamp(0.0, 1.0)
    steps = [
        *_enhancers(saturation, sharpness),
        *[_filter(ImageFilter.BLUR)] * blur,
        *_filters(gaussian_blur, edge_enhance, detail=detail_enhance == "true"),
    ]
    return _in_eight_bits(made, steps) if steps else made


def _enhancers(saturation: float, sharpness: float) -> Iterator[Step]:
    """Each mixes a picture with one that lacks what is enhanced, or goes beyond it: Pillow's ImageEnhance."""
    if saturation != 1.0:
        yield lambda picture: ImageEnhance.Color(picture).enhance(saturation)
    if sharpness != 1.0:
        yield lambda picture: ImageEnhance.Sharpness(picture).enhance(sharpness)


def _filters(radius: float, edges: float, *, detail: bool) -> Iterator[Step]:
    if radius:
        yield _filter(ImageFilter.GaussianBlur(radius))
    if edges:
        share = round(edges * 255)  # a mask has 8 bits as well
        yield lambda picture: Pillow.composite(
            picture.filter(ImageFilter.EDGE_ENHANCE_MORE), picture, Pillow.new("L", picture.size, share)
        )
    if detail:
        yield _filter(ImageFilter.DETAIL)


def _filter(wanted: ImageFilter.Filter | type[ImageFilter.Filter]) -> Step:
    return lambda picture: picture.filter(wanted)


def _in_eight_bits(image: Tensor, steps: list[Step]) -> Tensor:
    """Pictures [batch, height, width, 1 or 3] through steps in RGB of 8 bits, one after the other."""
    eight_bit = (image.expand(*image.shape[:-1], RGB) * 255.0).clamp(0.0, 255.0).to("cpu", torch.uint8)
    made = []
    for pixels in eight_bit.numpy():
        picture = Pillow.fromarray(pixels)
        for step in steps:
            picture = step(picture)
        made.append(np.asarray(picture))
    return torch.from_numpy(np.stack(made)).to(image.device, torch.float32).div_(255.0)


def _with_alpha_of(image: Tensor, colors: Tensor) -> Tensor:
    """New colours, cut off at 0 and 1, and the further channels that `image` has."""
    return torch.cat((colors.clamp(0.0, 1.0), image[..., RGB:]), -1)
