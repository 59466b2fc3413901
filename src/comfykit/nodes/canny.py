"""Canny's edge detector. Canny, "A computational approach to edge detection" (1986)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from comfykit.nodes.kernels import mirrored

GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601
SIGMA = 1.0  # of the blur, in pixels
SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
LEAST = 1e-6  # added to squared gradients

# Row and column of the neighbour in each direction of a gradient, from along x on by 45 degrees.
_NEIGHBOURS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))


def canny(image: Tensor, low: float, high: float) -> Tensor:
    """Edges of IMAGE [batch, height, width, channels] as [batch, height, width], 1 on an edge.

    The gradient (Sobel) of the blurred grey picture, thinned to its ridges; those above `high` are edges, and
    those above `low` that touch an edge, however far.
    """
    ridges = _ridges(*_gradient(_blurred(_grey(image))))[:, 0]
    edges = [_linked(ridge > low, ridge > high) for ridge in ridges]
    return torch.stack(edges).to(image.device, image.dtype)


def _grey(image: Tensor) -> Tensor:
    """[batch, 1, height, width] of a picture in colours or in grey."""
    if image.shape[-1] < 3:
        return image[..., :1].movedim(-1, 1)
    return (image[..., :3] * image.new_tensor(GREY)).sum(-1)[:, None]


def _blurred(grey: Tensor) -> Tensor:
    axis = torch.arange(-2.0, 3.0)
    bell = torch.exp(-(axis**2) / (2.0 * SIGMA**2)).to(grey)
    bell = bell / bell.sum()
    return F.conv2d(F.conv2d(mirrored(grey, 2), bell.view(1, 1, 1, -1)), bell.view(1, 1, -1, 1))


def _gradient(grey: Tensor) -> tuple[Tensor, Tensor]:
    """Along x and along y."""
    along_x = grey.new_tensor(SOBEL)
    weight = torch.stack([along_x, along_x.T])[:, None]
    slopes = F.conv2d(F.pad(grey, (1, 1, 1, 1), "replicate"), weight)
    return slopes[:, :1], slopes[:, 1:]


def _ridges(along_x: Tensor, along_y: Tensor) -> Tensor:
    """The gradient's length where both neighbours across the edge have less, 0 elsewhere."""
    length = (along_x**2 + along_y**2 + LEAST).sqrt()
    direction = (torch.atan2(along_y, along_x) * (4.0 / math.pi)).round().long() % 8
    height, width = length.shape[-2:]
    around = F.pad(length, (1, 1, 1, 1))
    shifted = [around[..., 1 + y : 1 + y + height, 1 + x : 1 + x + width] for y, x in _NEIGHBOURS]
    neighbours = torch.cat(shifted, 1)
    ahead, behind = (neighbours.gather(1, (direction + turn) % 8) for turn in (0, 4))
    return length * (length > torch.maximum(ahead, behind))


def _linked(weak: Tensor, strong: Tensor) -> Tensor:
    """The strong pixels and the weak ones that a path of weak ones joins to them."""
    from scipy import ndimage  # takes a moment to import

    found = ndimage.binary_propagation(
        strong.cpu().numpy(), structure=np.ones((3, 3), dtype=bool), mask=weak.cpu().numpy()
    )
    return torch.from_numpy(np.asarray(found))
