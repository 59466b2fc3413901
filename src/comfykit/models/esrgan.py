"""RRDBNet, the upscaling network of ESRGAN and Real-ESRGAN; parameters have Real-ESRGAN's names.

Wang et al., "ESRGAN: Enhanced super-resolution generative adversarial networks" (2018), figures 3 and 4;
Wang et al., "Real-ESRGAN" (2021), section 3.3, for what reduces its input first.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RESIDUAL_SCALE = 0.2  # of what a block adds to its input
SLOPE = 0.2  # of leaky ReLU below zero


@dataclass(frozen=True, slots=True)
class RRDBNetConfig:
    """Shape of the network. It doubles a picture's sides `doublings` times.

    Before, `unshuffle` x `unshuffle` pixels are folded into the channels, so that it enlarges that much less.
    """

    in_channels: int = 3  # of the picture, before pixels are folded into channels
    out_channels: int = 3
    width: int = 64
    growth: int = 32
    blocks: int = 23
    doublings: int = 2
    unshuffle: int = 1

    @property
    def scale(self) -> float:
        """How much longer the sides of the result are."""
        return float(2**self.doublings / self.unshuffle)


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees the input and the results of all before it."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.conv1 = _conv(width, growth)
        self.conv2 = _conv(width + growth, growth)
        self.conv3 = _conv(width + 2 * growth, growth)
        self.conv4 = _conv(width + 3 * growth, growth)
        self.conv5 = _conv(width + 4 * growth, width)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, width, height, width] in and out."""
        seen = x
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            seen = torch.cat((seen, F.leaky_relu(conv(seen), SLOPE)), 1)
        return torch.add(x, self.conv5(seen), alpha=RESIDUAL_SCALE)


class ResidualInResidual(nn.Module):
    """Three dense blocks, and a residual around them all."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(width, growth)
        self.rdb2 = DenseBlock(width, growth)
        self.rdb3 = DenseBlock(width, growth)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, width, height, width] in and out."""
        return torch.add(x, self.rdb3(self.rdb2(self.rdb1(x))), alpha=RESIDUAL_SCALE)


class RRDBNet(nn.Module):
    """Pictures [batch, channels, height, width] in 0 to 1 to larger ones; results may leave the range."""

    def __init__(self, config: RRDBNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.conv_first = _conv(config.in_channels * config.unshuffle**2, width)
        self.body = nn.Sequential(*(ResidualInResidual(width, config.growth) for _ in range(config.blocks)))
        self.conv_body = _conv(width, width)
        for number in range(1, config.doublings + 1):
            self.add_module(f"conv_up{number}", _conv(width, width))
        self.conv_hr = _conv(width, width)
        self.conv_last = _conv(width, config.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Sides that the folding does not divide are mirrored on, and the result is cut accordingly."""
        height, width = (round(side * self.config.scale) for side in x.shape[-2:])
        features = self.conv_first(self._folded(x))
        features = features + self.conv_body(self.body(features))
        for number in range(1, self.config.doublings + 1):
            conv = self.get_submodule(f"conv_up{number}")
            features = F.leaky_relu(conv(F.interpolate(features, scale_factor=2, mode="nearest")), SLOPE)
        result: Tensor = self.conv_last(F.leaky_relu(self.conv_hr(features), SLOPE))
        return result[..., :height, :width]

    def _folded(self, x: Tensor) -> Tensor:
        step = self.config.unshuffle
        if step == 1:
            return x
        below, right = (-x.shape[-2] % step, -x.shape[-1] % step)
        mode = "reflect" if below < x.shape[-2] and right < x.shape[-1] else "replicate"
        return F.pixel_unshuffle(F.pad(x, (0, right, 0, below), mode), step)


def _conv(channels: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 3, padding=1)
