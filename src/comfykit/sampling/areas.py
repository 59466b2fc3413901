"""Boxes of a latent: where a conditioning counts, and how it fades at the box's borders."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from comfykit.errors import UsageError

FEATHER = 8
"""Cells over which an area fades in at a border that lies inside the latent."""

SMALLEST_BOUNDS = 8
"""Least side, in cells, of the area around a mask."""


@dataclass(frozen=True, slots=True)
class Area:
    """A box of the latent in cells, one entry for each of its spatial axes: (height, width), (y, x)."""

    size: tuple[int, ...]
    start: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RelativeArea:
    """A box as parts (0 to 1) of the latent's sides."""

    size: tuple[float, ...]
    start: tuple[float, ...]


def in_cells(area: RelativeArea, space: tuple[int, ...]) -> Area:
    """The cells of a latent with these sides that an area covers, at least one."""
    return Area(
        tuple(max(1, round(part * side)) for part, side in zip(area.size, space, strict=True)),
        tuple(round(part * side) for part, side in zip(area.start, space, strict=True)),
    )


def clipped(area: Area, space: tuple[int, ...]) -> Area:
    """The part of an area that lies in a latent with these sides; `UsageError` when there is none."""
    size = tuple(min(n, side - at) for n, at, side in zip(area.size, area.start, space, strict=True))
    if min(size) <= 0:
        raise UsageError(
            f"the conditioning's area {area.size} at {area.start} lies outside the latent of {space} cells",
            hint="a cell is 8 pixels for most models; move the area into the picture",
            area=area,
        )
    return Area(size, area.start)


def bounds_of(mask: Tensor) -> Area:
    """The box around what is not 0 in a mask [batch, 1, ...]; everything for an empty one."""
    marked = (mask != 0).any(dim=0)[0]
    cells = marked.nonzero()
    if len(cells) == 0:
        return Area(tuple(marked.shape), (0,) * marked.ndim)
    first, last = cells.min(dim=0).values.tolist(), cells.max(dim=0).values.tolist()
    size = tuple(max(SMALLEST_BOUNDS, b - a + 1) for a, b in zip(first, last, strict=True))
    return Area(size, tuple(first))


def slices_of(area: Area) -> tuple[slice, ...]:
    """What indexes the area in a latent's spatial axes."""
    return tuple(slice(at, at + n) for n, at in zip(area.size, area.start, strict=True))


def covers(area: Area, inner: Area) -> bool:
    """Whether an area holds another."""
    return all(
        at <= inner_at and inner_at + inner_size <= at + size
        for size, at, inner_size, inner_at in zip(area.size, area.start, inner.size, inner.start, strict=True)
    )


def feathered(area: Area, space: tuple[int, ...]) -> Tensor:
    """Weights [1, 1, ...] of an area that fade where its borders lie inside the latent.

    They rise linearly to 1 over `FEATHER` cells, over a quarter of the side where that is less.
    """
    weight = torch.ones((1, 1, *area.size))
    for axis, (count, at, side) in enumerate(zip(area.size, area.start, space, strict=True), start=2):
        reach = min(FEATHER, count // 4)
        rise = torch.arange(1, reach + 1) / max(reach, 1)
        ramp = torch.ones(count)
        if at > 0:
            ramp[:reach] *= rise
        if at + count < side:
            ramp[count - reach :] *= rise.flip(0)
        weight = weight * ramp.reshape([-1 if other == axis else 1 for other in range(weight.ndim)])
    return weight
