"""Nodes that change how colours are told, or how many there are."""

from __future__ import annotations

import re
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from comfykit.engine.define import combo, integer, node, socket
from comfykit.engine.schema import Input
from comfykit.errors import UsageError
from comfykit.nodes.align import RGB
from comfykit.nodes.quantize import DITHERS, quantize
from comfykit.nodes.types import Float, Image, Int

# Weights of red, green and blue in the luma, and of what blue and red differ by from it (ITU-R BT.601).
LUMA = (0.299, 0.587, 0.114)
BLUE, RED = 0.564, 0.713
MIDDLE = 0.5  # a chroma of nothing

_HEX = re.compile(r"#([0-9a-fA-F]{6})([0-9a-fA-F]{2})?")


@node("ImageRGBToYUV", title="ImageRGBToYUV", category="image/batch", output_names=("Y", "U", "V"))
def image_rgb_to_yuv(image: Image) -> tuple[Image, Image, Image]:
    """Take brightness (Y) and colour (U towards blue, V towards red) apart, as three grey pictures."""
    luma = (image[..., :RGB] * image.new_tensor(LUMA)).sum(-1)
    blue = (image[..., 2] - luma) * BLUE + MIDDLE
    red = (image[..., 0] - luma) * RED + MIDDLE
    return _grey(luma), _grey(blue), _grey(red)


@node("ImageYUVToRGB", title="ImageYUVToRGB", category="image/batch")
def image_yuv_to_rgb(
    Y: Image,
    U: Image,
    V: Image,
) -> Image:
    """Join brightness and the two colour channels into a picture; each is the mean of what it is given."""
    luma, blue, red = (part[..., :RGB].mean(-1) for part in (Y, U, V))
    blue, red = blue - MIDDLE, red - MIDDLE
    green = luma - (LUMA[2] / BLUE * blue + LUMA[0] / RED * red) / LUMA[1]
    return torch.stack((luma + red / RED, green, luma + blue / BLUE), -1).clamp_(0.0, 1.0)


@node("ImageQuantize", title="ImageQuantize", category="image/postprocessing")
def image_quantize(
    image: Image,
    colors: Annotated[int, integer(256, 1, 256)],
    dither: Annotated[str, combo(DITHERS)],
) -> Image:
    """Reduce each picture to so many colours of its own, dithered or not."""
    eight_bit = (image[..., :RGB].clamp(0.0, 1.0) * 255.0).to("cpu", torch.uint8).numpy()
    made = np.stack([quantize(pixels, colors, dither) for pixels in eight_bit])
    return torch.from_numpy(made).to(image.device, torch.float32).div_(255.0)


@node("ColorToRGBInt", title="Color to RGB Int", category="utils", output_names=("rgb_int", "hex", "alpha"))
def color_to_rgb_int(
    color: Annotated[str, Input("COLOR", "#ffffff")],
) -> tuple[Int, Annotated[str, socket("COLOR")], Float]:
    """Make a number of a colour #RRGGBB or #RRGGBBAA; alpha is 1 where it is not said."""
    found = _HEX.fullmatch(color)
    if found is None:
        raise UsageError(f"{color!r} is no colour", hint="write #RRGGBB, such as #ff8800, or #RRGGBBAA")
    alpha = int(found[2], 16) / 255.0 if found[2] else 1.0
    return int(found[1], 16), f"#{found[1]}", alpha


def _grey(values: Tensor) -> Tensor:
    return values[..., None].expand(*values.shape, RGB)
