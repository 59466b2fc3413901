"""`comfy_extras.nodes_sag`."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from comfykit.compat.extras import classes

globals().update(classes(__name__))


def gaussian_blur_2d(img: Tensor, kernel_size: int, sigma: float) -> Tensor:
    """Blurred by a Gaussian, the borders mirrored."""
    half = (kernel_size - 1) * 0.5
    places = torch.linspace(-half, half, kernel_size, device=img.device)
    row = torch.exp(-0.5 * (places / sigma) ** 2)
    row = (row / row.sum()).to(img.dtype)
    kernel = torch.outer(row, row).expand(img.shape[-3], 1, kernel_size, kernel_size)
    padded = F.pad(img, [kernel_size // 2] * 4, mode="reflect")
    return F.conv2d(padded, kernel, groups=img.shape[-3])


def create_blur_map(x0: Tensor, attn: Tensor, sigma: float = 3.0, threshold: float = 1.0) -> Tensor:
    """x0, blurred where the map of self-attention [batch * heads, n, n] is attended to (arXiv 2210.00939)."""
    rows, _, height, width = x0.shape
    attended = attn.reshape(rows, -1, *attn.shape[1:]).mean(1).sum(1) > threshold
    shrunk = math.ceil(math.sqrt(height * width / attn.shape[1]))
    size = (math.ceil(height / shrunk), math.ceil(width / shrunk))
    mask = F.interpolate(attended.reshape(rows, 1, *size).to(attn.dtype), (height, width))
    return gaussian_blur_2d(x0, 9, sigma) * mask + x0 * (1 - mask)
