"""The tiny autoencoder for Stable Diffusion: pictures to latents and back in a fraction of the time.

https://github.com/madebyollin/taesd (MIT). Names of the parameters are those of its two files, after
`encoder.` and `decoder.`. It sees latents in the scale of the diffusion model; ours are in the VAE's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DOWNSCALE = 8


@dataclass(frozen=True, slots=True)
class TAESDConfig:
    """The shape of a tiny autoencoder, and the scale of the models that it was made for.

    A latent times `scale` is what the networks see; 0.18215 for SD 1.x and 2.x, 0.13025 for SDXL.
    """

    width: int = 64
    latent_channels: int = 4
    scale: float = 0.18215


class Block(nn.Module):
    """Three convolutions around a shortcut: [B, width, H, W] -> the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _conv(width, width), nn.ReLU(), _conv(width, width), nn.ReLU(), _conv(width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add what the convolutions make of `x`, and cut off below 0."""
        return F.relu(self.conv(x) + x)


class SoftClamp(nn.Module):
    """Keeps latents within -3 and 3."""

    def forward(self, x: Tensor) -> Tensor:
        """`3 tanh(x / 3)`."""
        return torch.tanh(x / 3) * 3


class TAESD(nn.Module):
    """Pictures [B, 3, H, W] in [-1, 1] to unscaled latents [B, latent_channels, H/8, W/8] and back."""

    downscale = DOWNSCALE

    def __init__(self, config: TAESDConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _encoder(config.width, config.latent_channels)
        self.decoder = tiny_decoder(config.width, config.latent_channels)

    def to_latent(self, pixels: Tensor) -> Tensor:
        """Latents of pictures whose sides are multiples of 8; in the type of `pixels`."""
        latent: Tensor = self.encoder(((pixels + 1) / 2).to(self._dtype))
        return latent.to(pixels.dtype) / self.config.scale

    def decode(self, z: Tensor) -> Tensor:
        """Pictures of latents, about [-1, 1] (not clamped), in the type of `z`."""
        pixels: Tensor = self.decoder((z * self.config.scale).to(self._dtype))
        return pixels.to(z.dtype) * 2 - 1

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.decoder.parameters()).dtype


def _encoder(width: int, latent_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = [_conv(3, width), Block(width)]
    for _ in range(3):
        layers += [_conv(width, width, stride=2, bias=False), Block(width), Block(width), Block(width)]
    return nn.Sequential(*layers, _conv(width, latent_channels))


def tiny_decoder(width: int, latent_channels: int) -> nn.Sequential:
    """Latents [B, latent_channels, h, w] in the model's scale to pictures [B, 3, 8h, 8w], about [0, 1]."""
    layers: list[nn.Module] = [SoftClamp(), _conv(latent_channels, width), nn.ReLU()]
    for _ in range(3):
        layers += [Block(width), Block(width), Block(width), nn.Upsample(scale_factor=2)]
        layers += [_conv(width, width, bias=False)]
    return nn.Sequential(*layers, Block(width), _conv(width, 3))


def _conv(channels: int, out: int, *, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=bias)
