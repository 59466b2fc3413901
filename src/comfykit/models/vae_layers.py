"""Leaves of the autoencoder: they differ from the U-Net's in names, padding and epsilon."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from comfykit.models.attention import PixelLinear, attention
from comfykit.models.layers import GROUPS


def norm(channels: int) -> nn.GroupNorm:
    """The normalisation that the autoencoder uses everywhere."""
    return nn.GroupNorm(GROUPS, channels, eps=1e-6)


class VAEResBlock(nn.Module):
    """Two norm-SiLU-convolution stages around a shortcut: [B, channels, H, W] -> [B, out, H, W]."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.norm1 = norm(channels)
        self.conv1 = nn.Conv2d(channels, out, 3, padding=1)
        self.norm2 = norm(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        self.nin_shortcut = nn.Identity() if channels == out else nn.Conv2d(channels, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Add what the block has to say to `x`."""
        h: Tensor = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        shortcut: Tensor = self.nin_shortcut(x)
        return shortcut + h


class VAEAttention(nn.Module):
    """Attention of every pixel to every pixel, one head: [B, channels, H, W] -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = norm(channels)
        self.q = PixelLinear(channels, channels)
        self.k = PixelLinear(channels, channels)
        self.v = PixelLinear(channels, channels)
        self.proj_out = PixelLinear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Add what the other pixels tell to `x`."""
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        mixed: Tensor = self.proj_out(attention(self.q(tokens), self.k(tokens), self.v(tokens), heads=1))
        return x + mixed.transpose(1, 2).reshape(x.shape)


class VAEDownsample(nn.Module):
    """3x3 convolution of stride 2: [B, C, H, W] -> [B, C, H/2, W/2]; padded right and below only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Halve height and width."""
        halved: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return halved


class VAEUpsample(nn.Module):
    """Nearest-neighbour doubling, then a 3x3 convolution: [B, C, h, w] -> [B, C, 2h, 2w]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Double height and width."""
        doubled: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return doubled
