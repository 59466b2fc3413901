"""Autoencoding in tiles, so that memory does not grow with the picture.

What a network makes of a tile depends on all of the tile, as its norms do, so tiles show. They fade into one
another where they overlap, and three ways to lay them are averaged: square ones, flat ones and tall ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

import torch
from torch import Tensor

Box: TypeAlias = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Tiling:
    """Tiles of `size` x `size` that overlap by `overlap`, in pixels or cells of what is cut.

    The overlap is less than half the size.
    """

    size: int
    overlap: int

    @property
    def layouts(self) -> tuple[tuple[int, int], ...]:
        """Height and width of the tiles of each of the three ways, all of one area."""
        return (self.size, self.size), (2 * self.size, self.size // 2), (self.size // 2, 2 * self.size)

    def count(self, height: int, width: int) -> int:
        """How many tiles one picture has in all three ways."""
        return sum(len(list(self._boxes(layout, height, width))) for layout in self.layouts)

    def apply(
        self, picture: Tensor, convert: Callable[[Tensor], Tensor], scale: float, done: Callable[[], None]
    ) -> Tensor:
        """What `convert` makes of a picture [1, channels, H, W], tile by tile, as float32 on the CPU.

        `scale` is a side of the result over one of the picture. `done` is called after each tile.
        """
        ways = [self._laid(picture, layout, convert, scale, done) for layout in self.layouts]
        return torch.stack(ways).mean(dim=0)

    def _laid(
        self,
        picture: Tensor,
        layout: tuple[int, int],
        convert: Callable[[Tensor], Tensor],
        scale: float,
        done: Callable[[], None],
    ) -> Tensor:
        height, width = picture.shape[-2:]
        total = weights = torch.zeros(())
        for rows, columns in self._boxes(layout, height, width):
            part = convert(picture[..., rows, columns]).float().cpu()
            weight = _fading(part.shape[-2], part.shape[-1], round(self.overlap * scale))
            if not total.ndim:
                total = torch.zeros(1, part.shape[1], round(height * scale), round(width * scale))
                weights = torch.zeros(total.shape[-2:])
            top, left = round(rows.start * scale), round(columns.start * scale)
            place = (..., slice(top, top + part.shape[-2]), slice(left, left + part.shape[-1]))
            total[place] += part * weight
            weights[place] += weight
            done()
        return total / weights

    def _boxes(self, layout: tuple[int, int], height: int, width: int) -> Iterator[Box]:
        return product(self._spans(height, layout[0]), self._spans(width, layout[1]))

    def _spans(self, side: int, tile: int) -> list[slice]:
        """Tiles along a side; the last one is cut short by its end."""
        if side <= tile:
            return [slice(0, side)]
        return [slice(at, min(at + tile, side)) for at in range(0, side - self.overlap, tile - self.overlap)]


def _fading(height: int, width: int, overlap: int) -> Tensor:
    """Weights [height, width] that rise linearly over the overlap from every border."""
    return _ramp(height, overlap)[:, None] * _ramp(width, overlap)


def _ramp(side: int, overlap: int) -> Tensor:
    """A side that is no longer than the overlap does not fade."""
    ramp = torch.ones(side)
    if 0 < overlap < side:
        rise = torch.arange(1, overlap + 1) / overlap
        ramp[:overlap] *= rise
        ramp[side - overlap :] *= rise.flip(0)
    return ramp
