"""`comfy.taesd.taesd`: the tiny autoencoder of Stable Diffusion's latents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from comfykit.families.tiny_vae import load_tiny_decoder


def conv(n_in: int, n_out: int, **kwargs: Any) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size."""
    return nn.Conv2d(n_in, n_out, 3, padding=1, **kwargs)


class Clamp(nn.Module):
    """Softly keeps values between -3 and 3."""

    def forward(self, x: Tensor) -> Tensor:
        """`3 tanh(x / 3)`."""
        return torch.tanh(x / 3) * 3


class Block(nn.Module):
    """Three convolutions beside a shortcut."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            conv(n_in, n_out), nn.ReLU(), conv(n_out, n_out), nn.ReLU(), conv(n_out, n_out)
        )
        self.skip = nn.Identity() if n_in == n_out else nn.Conv2d(n_in, n_out, 1, bias=False)
        self.fuse = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """[B, n_in, H, W] -> [B, n_out, H, W]."""
        found: Tensor = self.fuse(self.conv(x) + self.skip(x))
        return found


class TAESD(nn.Module):
    """The decoder of a file in models/vae_approx; latents are in the model's scale."""

    def __init__(self, encoder_path: Any = None, decoder_path: Any = None, latent_channels: int = 4) -> None:
        super().__init__()
        if decoder_path is not None:
            self.taesd_decoder, _ = load_tiny_decoder(Path(decoder_path))
        self.vae_scale, self.vae_shift = 1.0, 0.0

    def decode(self, x: Tensor) -> Tensor:
        """Pictures in -1 to 1."""
        found: Tensor = self.taesd_decoder((x - self.vae_shift) * self.vae_scale)
        return found.sub(0.5).mul(2)
