"""A function applied to tensors tile by tile, in any number of dimensions; tiles fade into one another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

Scale: TypeAlias = float | Callable[[float], float]


def spans(side: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin along a side."""
    return list(range(0, side - overlap, tile - overlap)) if side > tile else [0]


def scaled(scale: Scale, value: float) -> float:
    """A length or position of the input as one of the result."""
    return scale(value) if callable(scale) else scale * value


def apply_tiled(
    sample: Tensor,
    function: Callable[[Tensor], Tensor],
    tile: Sequence[int],
    overlap: Sequence[int],
    sizes: Sequence[Scale],
    places: Sequence[Scale],
    done: Callable[[], None],
    device: torch.device,
) -> Tensor:
    """What `function` makes of a tensor [1, channels, ...], a tile at a time, as float32 on `device`.

    One number for every dimension after the channels: how long a tile is, by how much two overlap, and how
    lengths and positions of the input become those of the result. `done` is called after each tile.
    """
    shape = sample.shape[2:]
    starts = [spans(*lengths) for lengths in zip(shape, tile, overlap, strict=True)]
    total = weights = torch.zeros(())
    for start in itertools.product(*starts):
        begin = [max(0, min(side - over, at)) for side, over, at in zip(shape, overlap, start, strict=True)]
        cut: tuple[slice, ...] = tuple(
            slice(at, at + min(length, side - at))
            for at, length, side in zip(begin, tile, shape, strict=True)
        )
        part = function(sample[_place(cut)]).to(device, torch.float32)
        if not total.ndim:
            whole = [round(scaled(size, side)) for size, side in zip(sizes, shape, strict=True)]
            total = torch.zeros(1, part.shape[1], *whole, device=device)
            weights = torch.zeros(whole, device=device)
        fades = [round(scaled(size, over)) for size, over in zip(sizes, overlap, strict=True)]
        weight = fading(part.shape[2:], fades).to(device)
        into: tuple[slice, ...] = tuple(
            slice(at, at + length) for at, length in zip(_rounded(places, begin), part.shape[2:], strict=True)
        )
        total[_place(into)] += part * weight
        weights[into] += weight
        done()
    return total / weights


def fading(shape: Iterable[int], overlaps: Iterable[int]) -> Tensor:
    """Weights of a tile: 1 inside, rising linearly from every border over the overlap with the next one."""
    weight = torch.ones(())
    for length, overlap in zip(shape, overlaps, strict=True):
        ramp = torch.ones(length)
        if 0 < overlap < length:
            rise = torch.arange(1, overlap + 1) / overlap
            ramp[:overlap] *= rise
            ramp[length - overlap :] *= rise.flip(0)
        weight = weight[..., None] * ramp
    return weight


def _rounded(scales: Sequence[Scale], values: Sequence[int]) -> list[int]:
    return [round(scaled(scale, value)) for scale, value in zip(scales, values, strict=True)]


def _place(cut: tuple[slice, ...]) -> Any:
    """The index of a part in every row and channel."""
    return (..., *cut)
