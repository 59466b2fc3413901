"""Pictures with few colours: a palette by median cut, and ways to spread what rounding to it loses."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from PIL import Image

Pixels: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]

DITHERS = ("none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16")


def quantize(pixels: Pixels, colors: int, dither: str) -> Pixels:
    """[height, width, 3] of 8 bits with at most `colors` colours, those that Pillow's median cut finds.

    "floyd-steinberg" passes what rounding loses on to the pixels beside and below, "bayer-N" adds an N x N
    pattern before rounding.
    """
    picture = Image.fromarray(pixels)
    palette = picture.quantize(colors)
    method = Image.Dither.FLOYDSTEINBERG if dither == "floyd-steinberg" else Image.Dither.NONE
    if dither.startswith("bayer-"):
        picture = Image.fromarray(_patterned(pixels, int(dither.removeprefix("bayer-")), colors))
    return np.asarray(picture.quantize(palette=palette, dither=method).convert("RGB"))


def bayer_matrix(side: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Thresholds [side, side] above -0.5 and below 0.5, whose mean is 0; `side` is a power of 2.

    Bayer, "An optimum method for two-level rendition of continuous-tone pictures" (1973).
    """
    ranks = np.zeros((1, 1))
    while len(ranks) < side:
        ranks = np.block([[4 * ranks, 4 * ranks + 2], [4 * ranks + 3, 4 * ranks + 1]])
    return ((ranks - (side**2 - 1) / 2) / side**2).astype(np.float32)


def _patterned(pixels: Pixels, side: int, colors: int) -> Pixels:
    """With the pattern added, as strong as twice the mean distance of `colors` levels."""
    height, width = pixels.shape[:2]
    strength = 2.0 * 256.0 / colors
    pattern = np.tile(bayer_matrix(side), (-(-height // side), -(-width // side)))[:height, :width, None]
    rounded = pixels + strength * pattern + 0.5  # the fraction is cut off next
    return rounded.clip(0.0, 255.0).astype(np.uint8)
