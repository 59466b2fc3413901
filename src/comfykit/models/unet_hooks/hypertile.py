"""HyperTile: self-attention within tiles of the picture instead of the whole of it, which is faster.

Thales Fernandes, "HyperTile" (2023), https://github.com/tfernd/HyperTile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from comfykit.models.hooks import AttentionInfo, UNetHooks

CELL = 8
SMALLEST_TILE = 32


@dataclass(frozen=True, slots=True, eq=False)
class HyperTile:
    """Cuts tokens into tiles before self-attention and puts them together after it.

    Tiles have sides of at least `tile_size` pixels that divide the picture's; each time one of the
    `swap_size` smallest is drawn, so that borders move. The levels down to `max_depth` halvings of the
    latent are tiled, with tiles of as many tokens on each or, with `scale_depth`, of twice the side of
    those on the level before.
    `_tiles` holds the numbers of tiles between both calls.
    """

    tile_size: int
    swap_size: int
    max_depth: int
    scale_depth: bool
    _tiles: list[tuple[int, int]] = field(default_factory=list)

    def added_to(self, hooks: UNetHooks) -> UNetHooks:
        """Hooks with these ones."""
        return hooks.with_inputs("attn1", self.cut).with_outputs("attn1", self.joined)

    def cut(self, q: Tensor, k: Tensor, v: Tensor, info: AttentionInfo) -> tuple[Tensor, Tensor, Tensor]:
        """[B, T, C] -> [B * tiles, T / tiles, C], each of them."""
        self._tiles.clear()
        depth = round(math.log2(info.latent_size[0] / info.size[0]))
        if depth > self.max_depth or not info.has_pixels(q) or not info.has_pixels(k):
            return q, k, v
        smallest = max(SMALLEST_TILE, self.tile_size) // CELL * (2**depth if self.scale_depth else 1)
        down, across = (drawn_division(side, smallest, self.swap_size) for side in info.size)
        if down * across == 1:
            return q, k, v
        self._tiles.append((down, across))
        return (
            in_tiles(q, info.size, down, across),
            in_tiles(k, info.size, down, across),
            in_tiles(v, info.size, down, across),
        )

    def joined(self, out: Tensor, info: AttentionInfo) -> Tensor:
        """[B * tiles, T / tiles, C] -> [B, T, C]."""
        return out_of_tiles(out, info.size, *self._tiles.pop()) if self._tiles else out


def drawn_division(side: int, smallest: int, options: int) -> int:
    """In how many parts to divide a side: one of the first `options`, from the finest on, drawn at random.

    Parts are as long as each other and not shorter than `smallest`, or than the side. Nothing is drawn where
    there is no choice.
    """
    lengths = [length for length in range(min(smallest, side), side + 1) if side % length == 0]
    counts = [side // length for length in lengths[:options]]
    return counts[int(torch.randint(len(counts), (1,)))] if len(counts) > 1 else counts[0]


def in_tiles(x: Tensor, size: tuple[int, int], down: int, across: int) -> Tensor:
    """The tokens of each tile as a row of their own."""
    height, width = size[0] // down, size[1] // across
    grid = x.reshape(x.shape[0], down, height, across, width, x.shape[-1])
    return grid.transpose(2, 3).reshape(x.shape[0] * down * across, height * width, x.shape[-1])


def out_of_tiles(x: Tensor, size: tuple[int, int], down: int, across: int) -> Tensor:
    """The inverse of `in_tiles`."""
    height, width = size[0] // down, size[1] // across
    grid = x.reshape(x.shape[0] // (down * across), down, across, height, width, x.shape[-1])
    return grid.transpose(2, 3).reshape(grid.shape[0], size[0] * size[1], x.shape[-1])
