"""The autoencoder of models that work on pixels: none at all."""

from __future__ import annotations

from torch import Tensor, nn


class PixelSpace(nn.Module):
    """Pictures [B, 3, H, W] in [-1, 1], which are latents as they are."""

    downscale = 1

    def to_latent(self, pixels: Tensor) -> Tensor:
        """The pictures themselves."""
        return pixels

    def decode(self, z: Tensor) -> Tensor:
        """The latents themselves."""
        return z
