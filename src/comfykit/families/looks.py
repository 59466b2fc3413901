"""How latents of each kind look, without the VAE that they were made by: for previews.

A latent is shown by a tiny decoder that was trained for its kind, or by a linear map from channels to
colours, which was found by fitting: https://discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

RGB: TypeAlias = tuple[float, float, float]

GRAY: RGB = (0.5, 0.5, 0.5)

# What a checkpoint with latents of its own kind says of them in the metadata of its safetensors file.
DECODER_KEY = "comfykit.preview"
RGB_KEY = "comfykit.latent_rgb"


@dataclass(frozen=True, slots=True)
class Look:
    """How latents in the scale of the diffusion model can be shown.

    `decoder` is what the name of a tiny decoder's file in models/vae_approx begins with, None where no
    decoder fits. `rgb` has a row for each channel: what it adds to red, green and blue, which run from 0
    to 1, and `bias` the colour of a latent of zeros. It is empty where no map fits.
    """

    decoder: str | None = None
    rgb: tuple[RGB, ...] = ()
    bias: RGB = GRAY


def _signed(rows: tuple[RGB, ...], bias: RGB = (0.0, 0.0, 0.0)) -> tuple[tuple[RGB, ...], RGB]:
    """`rgb` and `bias` of a map that is published for colours from -1 to 1."""
    halves = tuple((red / 2, green / 2, blue / 2) for red, green, blue in (*rows, bias))
    *scaled, (red, green, blue) = halves
    return tuple(scaled), (red + 0.5, green + 0.5, blue + 0.5)


UNKNOWN = Look()

SD = Look(
    "taesd_decoder",
    *_signed(
        (
            (0.3512, 0.2297, 0.3227),
            (0.3250, 0.4974, 0.2350),
            (-0.2829, 0.1762, 0.2721),
            (-0.2120, -0.2616, -0.7177),
        )
    ),
)
"""Stable Diffusion 1.x and 2.x."""

SDXL = Look(
    "taesdxl_decoder",
    *_signed(
        (
            (0.3651, 0.4232, 0.4341),
            (-0.2533, -0.0042, 0.1068),
            (0.1076, 0.1111, -0.0362),
            (-0.3165, -0.2492, -0.2188),
        ),
        (0.1084, -0.0175, -0.0011),
    ),
)
"""SDXL and its refiner."""

PLAYGROUND = Look(
    None,  # that of SDXL takes latents in SDXL's scale
    *_signed(
        (
            (0.3920, 0.4054, 0.4549),
            (-0.2634, -0.0196, 0.0653),
            (0.0568, 0.1687, -0.0755),
            (-0.3112, -0.2359, -0.2076),
        )
    ),
)
"""Playground v2.5: latents of SDXL's VAE, normalised for each channel."""


def own_look(metadata: Mapping[str, str], channels: int) -> Look | None:
    """The look that a checkpoint gives its latents, None where it says nothing.

    `comfykit.preview` is the name of a decoder's file. `comfykit.latent_rgb` is a list in JSON: a row of
    three numbers for each channel, then the bias. A list of another shape is as good as none: a model that
    draws is worth more than its previews.
    """
    if DECODER_KEY not in metadata and RGB_KEY not in metadata:
        return None
    rows = _rows(metadata.get(RGB_KEY, ""))
    decoder = metadata.get(DECODER_KEY) or None
    return Look(decoder, rows[:-1], rows[-1]) if len(rows) == channels + 1 else Look(decoder)


def in_metadata(look: Look) -> dict[str, str]:
    """The lines of metadata that say what `own_look` reads; none for looks that follow from a family."""
    if look in (UNKNOWN, SD, SDXL, PLAYGROUND):
        return {}
    said = {DECODER_KEY: look.decoder} if look.decoder else {}
    return said | ({RGB_KEY: json.dumps([*look.rgb, look.bias])} if look.rgb else {})


def _rows(text: str) -> tuple[RGB, ...]:
    try:
        rows = tuple((float(red), float(green), float(blue)) for red, green, blue in json.loads(text))
    except (ValueError, TypeError, RecursionError, OverflowError):
        return ()
    return rows if all(math.isfinite(value) for row in rows for value in row) else ()
