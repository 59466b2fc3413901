"""Nodes that reckon with latents. The second one gets the size and the batch of the first."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from comfykit.engine.define import node, number
from comfykit.nodes.align import lengths, repeat_to, resize_like
from comfykit.nodes.types import Latent


@node("LatentAdd", title="LatentAdd", category="latent/advanced")
def latent_add(samples1: Latent, samples2: Latent) -> Latent:
    """Add two latents."""
    first, second = _both(samples1["samples"], samples2["samples"])
    return {**samples1, "samples": first + second}


@node("LatentSubtract", title="LatentSubtract", category="latent/advanced")
def latent_subtract(samples1: Latent, samples2: Latent) -> Latent:
    """Subtract the second latent from the first."""
    first, second = _both(samples1["samples"], samples2["samples"])
    return {**samples1, "samples": first - second}


@node("LatentMultiply", title="LatentMultiply", category="latent/advanced")
def latent_multiply(samples: Latent, multiplier: Annotated[float, number(1.0, -10.0, 10.0)]) -> Latent:
    """Multiply a latent by a number."""
    return {**samples, "samples": samples["samples"] * multiplier}


@node("LatentInterpolate", title="LatentInterpolate", category="latent/advanced")
def latent_interpolate(
    samples1: Latent, samples2: Latent, ratio: Annotated[float, number(1.0, 0.0, 1.0)]
) -> Latent:
    """Interpolate between two latents: the first at a ratio of 1, the second at 0.

    The directions of the channel vectors are mixed apart from their lengths, so that they keep those.
    """
    first, second = _both(samples1["samples"], samples2["samples"])
    mixed = _direction(_direction(first) * ratio + _direction(second) * (1.0 - ratio))
    return {**samples1, "samples": mixed * (lengths(first) * ratio + lengths(second) * (1.0 - ratio))}


@node("LatentBlend", title="Latent Blend", category="_for_testing")
def latent_blend(
    samples1: Latent, samples2: Latent, blend_factor: Annotated[float, number(0.5, 0, 1)]
) -> Latent:
    """Mix two latents: the first at a blend_factor of 1, the second at 0."""
    first, second = _both(samples1["samples"], samples2["samples"], "bicubic")
    return {**samples1, "samples": first * blend_factor + second * (1.0 - blend_factor)}


def _both(first: Tensor, second: Tensor, method: str = "bilinear") -> tuple[Tensor, Tensor]:
    return first, repeat_to(resize_like(second, first, method).to(first), len(first))


def _direction(samples: Tensor) -> Tensor:
    """Channel vectors of length 1; those of length 0 stay."""
    return (samples / lengths(samples)).nan_to_num()
