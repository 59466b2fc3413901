"""Leaves that several networks share."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GROUPS = 32


def timestep_embedding(timesteps: Tensor, width: int, max_period: float = 10000.0) -> Tensor:
    """Sinusoids of the timesteps [B] -> [B, width], float32, cosines before sines.

    The position encoding of "Attention Is All You Need" (section 3.5) with the order and the
    frequencies that DDPM's code gave it: `exp(-log(max_period) * i / (width / 2))`. The last column
    is zero where `width` is odd.
    """
    half = width // 2
    steps = torch.arange(half, dtype=torch.float32, device=timesteps.device)
    frequencies = torch.exp(-math.log(max_period) * steps / half)
    angles = timesteps.float()[:, None] * frequencies
    embedding = torch.cat((angles.cos(), angles.sin()), dim=-1)
    return F.pad(embedding, (0, width - 2 * half))


class Embedding(nn.Embedding):
    """A table of vectors that is not filled where it has no memory, on the meta device.

    There PyTorch would decompose the filling in Python, and import its compiler to do so: 0.7 s of every
    start, for nothing.
    """

    def reset_parameters(self) -> None:
        """Fill the table, as a network that is to be trained needs it."""
        if not self.weight.is_meta:
            super().reset_parameters()


class Upsample(nn.Module):
    """Nearest-neighbour enlargement, then a 3x3 convolution: [B, C, h, w] -> [B, C, *size].

    The size is given, not doubled: it is that of the skip connection that joins next, which is one
    short of double where a side was odd on the way down.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Enlarge to `size` (height, width)."""
        enlarged: Tensor = self.conv(F.interpolate(x, size=size, mode="nearest"))
        return enlarged


class Downsample(nn.Module):
    """3x3 convolution of stride 2: [B, C, H, W] -> [B, C, ceil(H/2), ceil(W/2)]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Halve height and width, rounding up."""
        halved: Tensor = self.op(x)
        return halved
