"""The autoencoder of latent diffusion: pictures to latents and back.

"High-Resolution Image Synthesis with Latent Diffusion Models" (Rombach et al. 2022), section 3.1; the
network is that of "Taming Transformers" (Esser et al. 2021), table 7. Names of the parameters are those
of the checkpoints after `first_stage_model.`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from comfykit.models.vae_layers import VAEAttention, VAEDownsample, VAEResBlock, VAEUpsample, norm

# Bounds of the logarithm of the posterior's variance, as it was trained.
LOGVAR_RANGE = (-30.0, 20.0)


@dataclass(frozen=True, slots=True)
class VAEConfig:
    """The shape of an autoencoder; the defaults are those of SD 1.x, 2.x and SDXL.

    `num_res_blocks` is that of the encoder; a level of the decoder has one more. `embed_dim` is the
    number of channels outside the 1x1 convolutions around the latent, None where a file has none of them.
    """

    in_channels: int = 3
    out_channels: int = 3
    ch: int = 128
    ch_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    z_channels: int = 4
    embed_dim: int | None = 4

    @property
    def latent_channels(self) -> int:
        """Channels of a latent."""
        return self.z_channels if self.embed_dim is None else self.embed_dim

    @property
    def downscale(self) -> int:
        """Pixels on a side of a picture for one of its latent."""
        return 1 << (len(self.ch_mult) - 1)


class AutoencoderKL(nn.Module):
    """Pictures [B, 3, H, W] in [-1, 1] to unscaled latents [B, latent_channels, H/8, W/8] and back."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        if config.embed_dim is not None:
            self.quant_conv = nn.Conv2d(2 * config.z_channels, 2 * config.embed_dim, 1)
            self.post_quant_conv = nn.Conv2d(config.embed_dim, config.z_channels, 1)

    @property
    def downscale(self) -> int:
        """Pixels on a side of a picture for one of its latent."""
        return self.config.downscale

    def to_latent(self, pixels: Tensor) -> Tensor:
        """The mean of what `encode` gives: the latent that a picture is taken to have."""
        return self.encode(pixels)[0]

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the posterior of pictures [B, 3, H, W] in [-1, 1].

        H and W are multiples of `config.downscale`. Computes in the type of the weights and returns the
        type of `pixels`.
        """
        moments: Tensor = self.encoder(pixels.to(self._dtype))
        if self.config.embed_dim is not None:
            moments = self.quant_conv(moments)
        mean, logvar = moments.to(pixels.dtype).chunk(2, dim=1)
        return mean, logvar.clamp(*LOGVAR_RANGE)

    def decode(self, z: Tensor) -> Tensor:
        """Pictures [B, 3, 8h, 8w], about [-1, 1] (not clamped), from latents [B, latent_channels, h, w]."""
        h = z.to(self._dtype)
        if self.config.embed_dim is not None:
            h = self.post_quant_conv(h)
        pixels: Tensor = self.decoder(h)
        return pixels.to(z.dtype)

    @property
    def _dtype(self) -> torch.dtype:
        return self.decoder.conv_out.weight.dtype


class Encoder(nn.Module):
    """[B, in_channels, H, W] -> moments [B, 2 * z_channels, H/8, W/8]."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        widths = [config.ch * mult for mult in config.ch_mult]
        before = [config.ch, *widths[:-1]]
        last = len(widths) - 1
        self.conv_in = nn.Conv2d(config.in_channels, config.ch, 3, padding=1)
        self.down = nn.ModuleList(
            Level(inside, out, config.num_res_blocks, downsample=level < last)
            for level, (inside, out) in enumerate(zip(before, widths, strict=True))
        )
        self.mid = Middle(widths[-1])
        self.norm_out = norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], 2 * config.z_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Down the levels, finest first, and through the middle."""
        h: Tensor = self.conv_in(x)
        for level in self.down:
            h = level(h)
        h = F.silu(self.norm_out(self.mid(h)))
        moments: Tensor = self.conv_out(h)
        return moments


class Decoder(nn.Module):
    """[B, z_channels, h, w] -> [B, out_channels, 8h, 8w]."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        widths = [config.ch * mult for mult in config.ch_mult]
        before = [*widths[1:], widths[-1]]
        self.conv_in = nn.Conv2d(config.z_channels, widths[-1], 3, padding=1)
        self.mid = Middle(widths[-1])
        self.up = nn.ModuleList(
            Level(inside, out, config.num_res_blocks + 1, upsample=level > 0)
            for level, (inside, out) in enumerate(zip(before, widths, strict=True))
        )
        self.norm_out = norm(widths[0])
        self.conv_out = nn.Conv2d(widths[0], config.out_channels, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """Through the middle and up the levels, coarsest first."""
        h: Tensor = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            h = level(h)
        h = F.silu(self.norm_out(h))
        pixels: Tensor = self.conv_out(h)
        return pixels


class Level(nn.Module):
    """Residual blocks at one size, then half or double it where asked."""

    def __init__(
        self, channels: int, out: int, blocks: int, *, downsample: bool = False, upsample: bool = False
    ) -> None:
        super().__init__()
        self.block = nn.ModuleList(VAEResBlock(out if i else channels, out) for i in range(blocks))
        self.downsample = VAEDownsample(out) if downsample else nn.Identity()
        self.upsample = VAEUpsample(out) if upsample else nn.Identity()

    def forward(self, h: Tensor) -> Tensor:
        """[B, channels, H, W] -> [B, out, H, W], or at half or double the size."""
        for block in self.block:
            h = block(h)
        resized: Tensor = self.upsample(self.downsample(h))
        return resized


class Middle(nn.Module):
    """Two residual blocks with attention over all pixels between them: [B, channels, h, w] -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1 = VAEResBlock(channels, channels)
        self.attn_1 = VAEAttention(channels)
        self.block_2 = VAEResBlock(channels, channels)

    def forward(self, h: Tensor) -> Tensor:
        """The only place where distant pixels see each other."""
        mixed: Tensor = self.block_2(self.attn_1(self.block_1(h)))
        return mixed
