"""Pictures to latents and back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

import torch
from torch import Tensor

from comfykit.engine.define import integer, node
from comfykit.families.components import Autoencoder
from comfykit.families.tiled_vae import Tiling
from comfykit.nodes.context import NodeContext
from comfykit.nodes.types import Context, Image, Latent, Vae

LARGEST = 4096

# What is used where memory runs out, in pixels.
TILE, OVERLAP = 512, 64


@node("VAEDecode", title="VAE Decode", category="latent")
def vae_decode(context: Context, samples: Latent, vae: Vae) -> Image:
    """Make pictures of latents; in tiles, with a warning, where memory is too short for whole ones."""
    return decode(context, vae, samples["samples"])


@node("VAEEncode", title="VAE Encode", category="latent")
def vae_encode(context: Context, pixels: Image, vae: Vae) -> Latent:
    """Make latents of pictures; sides are cut to multiples of 8 pixels."""
    return {"samples": encode(context, vae, pixels)}


@node("VAEDecodeTiled", title="VAE Decode (Tiled)", category="_for_testing")
def vae_decode_tiled(
    context: Context,
    samples: Latent,
    vae: Vae,
    tile_size: Annotated[int, integer(512, 64, LARGEST, 32)],
    overlap: Annotated[int, integer(64, 0, LARGEST, 32)],
    temporal_size: Annotated[int, integer(64, 8, LARGEST, 4)],
    temporal_overlap: Annotated[int, integer(8, 4, LARGEST, 4)],
) -> Image:
    """Make pictures of latents tile by tile, which needs less memory and may show.

    Sizes are in pixels; an overlap is at most a quarter of a tile. Those of time are for videos.
    """
    return decode_in_tiles(context, vae, samples["samples"], tile_size, min(overlap, tile_size // 4))


@node("VAEEncodeTiled", title="VAE Encode (Tiled)", category="_for_testing")
def vae_encode_tiled(
    context: Context,
    pixels: Image,
    vae: Vae,
    tile_size: Annotated[int, integer(512, 64, LARGEST, 64)],
    overlap: Annotated[int, integer(64, 0, LARGEST, 32)],
    temporal_size: Annotated[int, integer(64, 8, LARGEST, 4)],
    temporal_overlap: Annotated[int, integer(8, 4, LARGEST, 4)],
) -> Latent:
    """Make latents of pictures tile by tile, which needs less memory and may show.

    Sizes are in pixels; an overlap is less than half a tile. Those of time are for videos.
    """
    overlap = overlap if overlap < tile_size // 2 else tile_size // 4
    return {"samples": encode_in_tiles(context, vae, pixels, tile_size, overlap)}


def decode(context: NodeContext, vae: Autoencoder, latent: Tensor) -> Tensor:
    """Pictures of latents, in tiles where memory runs out."""
    with suppress(torch.OutOfMemoryError):
        return vae.decode(latent, context.residency)
    _warn_of_tiles(context, "decoded")
    return decode_in_tiles(context, vae, latent, TILE, OVERLAP)


def encode(context: NodeContext, vae: Autoencoder, pixels: Tensor) -> Tensor:
    """Latents of pictures, in tiles where memory runs out."""
    with suppress(torch.OutOfMemoryError):
        return vae.encode(pixels, context.residency)
    _warn_of_tiles(context, "encoded")
    return encode_in_tiles(context, vae, pixels, TILE, OVERLAP)


def decode_in_tiles(
    context: NodeContext, vae: Autoencoder, latent: Tensor, size: int, overlap: int
) -> Tensor:
    """Pictures of latents, in tiles measured in pixels."""
    tiling = Tiling(max(2, size // vae.cell), overlap // vae.cell)
    rows, _, height, width = latent.shape
    return vae.decode(
        latent, context.residency, tiling, _counter(context, rows * tiling.count(height, width))
    )


def encode_in_tiles(
    context: NodeContext, vae: Autoencoder, pixels: Tensor, size: int, overlap: int
) -> Tensor:
    """Latents of pictures, in tiles measured in pixels."""
    tiling = Tiling(size, overlap)
    rows, height, width = pixels.shape[:3]
    return vae.encode(
        pixels, context.residency, tiling, _counter(context, rows * tiling.count(height, width))
    )


def _warn_of_tiles(context: NodeContext, done: str) -> None:
    context.residency.make_room(0)
    context.warn(
        f"memory ran out, so pictures are {done} in tiles, which may show",
        hint="a smaller picture needs no tiles",
    )


def _counter(context: NodeContext, total: int) -> Callable[[], None]:
    """Reports each tile; `total` is how many there will be."""
    finished = 0

    def done() -> None:
        nonlocal finished
        finished += 1
        context.progress(min(finished, total), total, "tile")

    return done
