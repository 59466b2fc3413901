"""Pictures in overlapping tiles, so that a network's memory does not grow with the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import torch
from torch import Tensor


def tile_origins(size: int, tile: int, overlap: int) -> list[int]:
    """Where tiles of a side begin: `tile - overlap` apart; the last one may be shorter than `tile`."""
    return list(range(0, max(1, size - overlap), tile - overlap)) if size > tile else [0]


def count_tiles(height: int, width: int, tile: int, overlap: int) -> int:
    """Tiles of one picture."""
    return len(tile_origins(height, tile, overlap)) * len(tile_origins(width, tile, overlap))


def tiled(
    picture: Tensor,
    enlarge: Callable[[Tensor], Tensor],
    scale: float,
    tile: int,
    overlap: int,
    on_tile: Callable[[], None],
) -> Tensor:
    """`enlarge` of a picture [1, channels, height, width], tile by tile; `scale` is what it enlarges by.

    Where tiles overlap they fade into one another linearly. The result lies on the CPU in float32.
    """
    height, width = picture.shape[-2:]
    size = (round(height * scale), round(width * scale))
    total, weights = torch.zeros(()), torch.zeros(1, 1, *size)
    for top, left in _corners(height, width, tile, overlap):
        part = enlarge(picture[..., top : top + tile, left : left + tile]).float().cpu()
        weight = _feather(part.shape[-2], part.shape[-1], round(overlap * scale))
        if not total.ndim:
            total = torch.zeros(1, part.shape[1], *size)
        y, x = round(top * scale), round(left * scale)
        place = (..., slice(y, y + part.shape[-2]), slice(x, x + part.shape[-1]))
        total[place] += part * weight
        weights[place] += weight
        on_tile()
    return total / weights


def _corners(height: int, width: int, tile: int, overlap: int) -> Iterator[tuple[int, int]]:
    return product(tile_origins(height, tile, overlap), tile_origins(width, tile, overlap))


def _feather(height: int, width: int, overlap: int) -> Tensor:
    """Weights of a tile [height, width]: 1 inside, falling linearly over the overlap on all sides."""

    def ramp(size: int) -> Tensor:
        if size <= overlap:
            return torch.ones(size)
        rising = (torch.arange(1.0, size + 1.0) / max(1, overlap)).clamp_(max=1.0)
        return rising * rising.flip(0)

    return ramp(height)[:, None] * ramp(width)[None, :]
