"""Convolution of pictures and latents [batch, channels, height, width] with one small kernel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def gaussian_kernel(radius: int, sigma: float) -> Tensor:
    """A bell [2 radius + 1, 2 radius + 1] that sums to 1.

    `sigma` is in units of the radius, not of pixels: the kernel spans -1 to 1 whatever its size.
    """
    axis = torch.linspace(-1.0, 1.0, 2 * radius + 1)
    bell = torch.exp(-(axis**2) / (2.0 * sigma**2))
    kernel = bell[:, None] * bell[None, :]
    return kernel / kernel.sum()


def sharpening_kernel(radius: int, sigma: float, alpha: float) -> Tensor:
    """The identity plus ten times `alpha` of what a Gaussian blur takes away; sums to 1."""
    kernel = -10.0 * alpha * gaussian_kernel(radius, sigma)
    kernel[radius, radius] += 1.0 - kernel.sum()
    return kernel


def convolve(samples: Tensor, kernel: Tensor) -> Tensor:
    """Every channel convolved with the same kernel; beyond its borders a picture is its mirror image."""
    channels, radius = samples.shape[1], kernel.shape[-1] // 2
    weight = kernel.to(samples.device, samples.dtype).expand(channels, 1, -1, -1)
    return F.conv2d(mirrored(samples, radius), weight, groups=channels)


def mirrored(samples: Tensor, margin: int) -> Tensor:
    """The picture with a margin that mirrors it, its outermost pixels not repeated.

    Unlike `F.pad`, it mirrors again where the picture is smaller than the margin.
    """
    rows = _mirror_indices(samples.shape[-2], margin).to(samples.device)
    columns = _mirror_indices(samples.shape[-1], margin).to(samples.device)
    return samples.index_select(-2, rows).index_select(-1, columns)


def _mirror_indices(size: int, margin: int) -> Tensor:
    """Indices of -margin to size + margin - 1, folded back into 0 to size - 1."""
    period = max(1, 2 * (size - 1))
    folded = torch.arange(-margin, size + margin) % period
    return torch.minimum(folded, period - folded).clamp_(max=size - 1)
