"""Erosion and dilation of [batch, channels, height, width] with flat structuring elements.

What lies beyond the borders counts for nothing. Serra, "Image Analysis and Mathematical Morphology" (1982).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F


def dilate(samples: Tensor, size: int) -> Tensor:
    """The greatest value within squares of `size` pixels a side, from size // 2 left of and above a pixel."""
    before, after = size // 2, size - size // 2 - 1
    for kernel, padding in (((1, size), (before, after, 0, 0)), ((size, 1), (0, 0, before, after))):
        samples = F.max_pool2d(F.pad(samples, padding, value=-torch.inf), kernel, stride=1)
    return samples


def erode(samples: Tensor, size: int) -> Tensor:
    """The least value within the square of `dilate`."""
    return -dilate(-samples, size)


def dilate_diamond(samples: Tensor, radius: int) -> Tensor:
    """The greatest value within `radius` steps along rows and columns."""
    for _ in range(min(radius, samples.shape[-1] + samples.shape[-2])):
        along_rows = F.max_pool2d(samples, (1, 3), stride=1, padding=(0, 1))
        grown = torch.maximum(along_rows, F.max_pool2d(samples, (3, 1), stride=1, padding=(1, 0)))
        if torch.equal(grown, samples):
            break
        samples = grown
    return samples


def grow(mask: Tensor, pixels: int, *, tapered: bool) -> Tensor:
    """Grow the bright areas of MASK [batch, height, width] by `pixels`, shrink them where that is negative.

    Tapered areas grow along rows and columns, so that corners are cut; others grow in squares.
    """
    sign = 1.0 if pixels >= 0 else -1.0
    samples, radius = sign * mask[:, None], min(abs(pixels), max(mask.shape[-2:]) * 2)
    grown = dilate_diamond(samples, radius) if tapered else dilate(samples, 2 * radius + 1)
    return (sign * grown)[:, 0]


MORPHS: Mapping[str, Callable[[Tensor, int], Tensor]] = {
    "erode": erode,
    "dilate": dilate,
    "open": lambda samples, size: dilate(erode(samples, size), size),
    "close": lambda samples, size: erode(dilate(samples, size), size),
    "gradient": lambda samples, size: dilate(samples, size) - erode(samples, size),
    "bottom_hat": lambda samples, size: erode(dilate(samples, size), size) - samples,
    "top_hat": lambda samples, size: samples - dilate(erode(samples, size), size),
}
