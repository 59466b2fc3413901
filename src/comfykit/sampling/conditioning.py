"""What a prediction is conditioned on, and where, how strongly and at which noise levels it counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional as F

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


@dataclass(frozen=True, slots=True, eq=False)
class Cond:
    """One conditioning of the network.

    `embedding` is [1 or batch, tokens, width]; `model_inputs` are further inputs of the network by name,
    [1 or batch, ...]; those in the latent's own shape of space are cut to the area with it.

    `mask` [any, height, width], of any size, weighs the prediction by place, times `mask_strength`. With
    `within_bounds` the area is the box around the mask. `strength` weighs it against the others
    that count at the same place. It counts at noise levels from `start_sigma` down to `end_sigma`.
    """

    embedding: Tensor
    model_inputs: Mapping[str, Tensor] = field(default_factory=dict)
    area: Area | RelativeArea | None = None
    strength: float = 1.0
    mask: Tensor | None = None
    mask_strength: float = 1.0
    within_bounds: bool = False
    start_sigma: float = math.inf
    end_sigma: float = 0.0

    @property
    def always_active(self) -> bool:
        """Whether it counts at every noise level."""
        return self.start_sigma == math.inf and self.end_sigma <= 0

    def active_at(self, sigma: float) -> bool:
        """Whether it counts at this noise level."""
        return self.end_sigma <= sigma <= self.start_sigma


@dataclass(frozen=True, slots=True, eq=False)
class PlacedCond:
    """A conditioning fitted to one latent.

    `region` indexes the latent's part that the network is shown; `weight` is that of its prediction, a
    number or [1 or batch, 1, height, width] of the region.
    """

    cond: Cond
    region: tuple[slice, ...]
    weight: Tensor | float

    @property
    def whole(self) -> bool:
        """Whether the prediction counts alike in the whole latent."""
        return not isinstance(self.weight, Tensor) and self.weight != 0


def place_sides(
    positive: Sequence[Cond], negative: Sequence[Cond], x: Tensor
) -> tuple[list[PlacedCond], list[PlacedCond]]:
    """Fit the conditionings of both sides of guidance to x [batch, channels, ...], areas on both sides."""
    ours = [_settled(cond, x) for cond in positive]
    theirs = _with_counterparts([_settled(cond, x) for cond in negative], ours)
    ours = _with_counterparts(ours, theirs)
    return [_placed(cond, x) for cond in ours], [_placed(cond, x) for cond in theirs]


def fit_mask(mask: Tensor, x: Tensor) -> Tensor:
    """A mask [..., height, width] in the size, batch and place of x: [batch, 1, ..., height, width]."""
    height, width = mask.shape[-2:]
    flat = mask.to(x).reshape(-1, 1, height, width)
    if flat.shape[-2:] != x.shape[-2:]:
        flat = F.interpolate(flat, size=tuple(x.shape[-2:]), mode="bilinear", align_corners=False)
    axes = (1,) * (x.ndim - 3)
    return repeat_to_batch(flat.reshape(flat.shape[0], *axes, *flat.shape[-2:]), x.shape[0])


def repeat_to_batch(value: Tensor, batch: int) -> Tensor:
    """As many rows as the batch has: repeated from the first on, or cut off."""
    rows = value.shape[0]
    if rows == batch:
        return value
    if rows == 1:
        return value.expand(batch, *value.shape[1:])
    return value.repeat(math.ceil(batch / rows), *(1,) * (value.ndim - 1))[:batch]


def _settled(cond: Cond, x: Tensor) -> Cond:
    """The conditioning with its mask and its area in the cells of x [batch, channels, ...]."""
    mask = None if cond.mask is None else fit_mask(cond.mask, x)
    return replace(cond, mask=mask, area=_settled_area(cond, mask, tuple(x.shape[2:])))


def _with_counterparts(conds: Sequence[Cond], others: Sequence[Cond]) -> list[Cond]:
    """Conditionings of one side, and one more for each area of the other side that this one has not.

    The network predicts other things for a part than for the whole, so what guidance compares in an area
    should be predictions for that area. A counterpart has the area with its weights and levels from the
    other side; what it says is taken from the smallest area around it on this side, or from the whole.
    """
    found = list(conds)
    for other in others:
        around = [cond for cond in found if _covers(cond.area, other.area)]
        if isinstance(other.area, Area) and around:
            nearest = min(around, key=_cells)
            if nearest.area != other.area:
                found.append(replace(other, embedding=nearest.embedding, model_inputs=nearest.model_inputs))
    return found


def _placed(cond: Cond, x: Tensor) -> PlacedCond:
    """Fit a conditioning that is settled to x: its region, its weight, the batch and place of its tensors."""
    space = tuple(x.shape[2:])
    region = (slice(None), slice(None), *_slices(cond.area, space))
    fitted = replace(
        cond,
        embedding=repeat_to_batch(cond.embedding.to(x.device), x.shape[0]),
        model_inputs={
            name: repeat_to_batch(_cut(value.to(x.device), region, space), x.shape[0])
            for name, value in cond.model_inputs.items()
        },
    )
    return PlacedCond(fitted, region, _weight(cond, x, region))


def _weight(cond: Cond, x: Tensor, region: tuple[slice, ...]) -> Tensor | float:
    if cond.mask is not None:
        return cond.mask[region] * (cond.mask_strength * cond.strength)
    if cond.area is not None:
        return _feathered(region[2:], tuple(x.shape[2:])).to(x) * cond.strength
    return cond.strength


def _settled_area(cond: Cond, mask: Tensor | None, space: tuple[int, ...]) -> Area | None:
    """The cells a conditioning is restricted to, clipped to the latent; None for all of them."""
    if mask is not None and cond.within_bounds:
        return _clipped(_bounds(mask, space), space)
    if isinstance(cond.area, RelativeArea):
        return _clipped(_in_cells(cond.area, space), space)
    return None if cond.area is None else _clipped(cond.area, space)


def _covers(area: Area | RelativeArea | None, inner: Area | RelativeArea | None) -> bool:
    """Whether an area, or everything (None), holds another in cells."""
    if not isinstance(area, Area) or not isinstance(inner, Area):
        return area is None
    return all(
        at <= inner_at and inner_at + inner_size <= at + size
        for size, at, inner_size, inner_at in zip(area.size, area.start, inner.size, inner.start, strict=True)
    )


def _cells(cond: Cond) -> float:
    return math.prod(cond.area.size) if isinstance(cond.area, Area) else math.inf


def _in_cells(area: RelativeArea, space: tuple[int, ...]) -> Area:
    return Area(
        tuple(max(1, round(part * side)) for part, side in zip(area.size, space, strict=True)),
        tuple(round(part * side) for part, side in zip(area.start, space, strict=True)),
    )


def _clipped(area: Area, space: tuple[int, ...]) -> Area:
    size = tuple(min(n, side - at) for n, at, side in zip(area.size, area.start, space, strict=True))
    if min(size) <= 0:
        raise UsageError(
            f"the conditioning's area {area.size} at {area.start} lies outside the latent of {space} cells",
            hint="a cell is 8 pixels for most models; move the area into the picture",
            area=area,
        )
    return Area(size, area.start)


def _bounds(mask: Tensor, space: tuple[int, ...]) -> Area:
    """The box around what is not 0 in a mask [batch, 1, height, width]; everything for an empty one."""
    marked = (mask != 0).any(dim=0)[0]
    if not bool(marked.any()):
        return Area(space, (0,) * len(space))
    size, start = [], []
    for axis in range(marked.ndim):
        others = [other for other in range(marked.ndim) if other != axis]
        found = marked.any(dim=others).nonzero() if others else marked.nonzero()
        first, last = int(found.min()), int(found.max())
        start.append(first)
        size.append(max(SMALLEST_BOUNDS, last - first + 1))
    return Area(tuple(size), tuple(start))


def _slices(area: Area | RelativeArea | None, space: tuple[int, ...]) -> tuple[slice, ...]:
    if not isinstance(area, Area):
        return tuple(slice(0, side) for side in space)
    return tuple(slice(at, at + n) for n, at in zip(area.size, area.start, strict=True))


def _cut(value: Tensor, region: tuple[slice, ...], space: tuple[int, ...]) -> Tensor:
    """The region of a model input that lies over the latent; other inputs stay whole."""
    return value[region] if value.shape[2:] == space else value


def _feathered(spans: Sequence[slice], space: tuple[int, ...]) -> Tensor:
    """Weights [1, 1, ...] of an area that fade where its borders lie inside the latent.

    They rise linearly to 1 over `FEATHER` cells, over a quarter of the side where that is less.
    """
    weight = torch.ones((1, 1, *(span.stop - span.start for span in spans)))
    for axis, (span, side) in enumerate(zip(spans, space, strict=True), start=2):
        count = span.stop - span.start
        reach = min(FEATHER, count // 4)
        ramp = torch.ones(count)
        rise = torch.arange(1, reach + 1) / reach if reach else torch.ones(0)
        if span.start > 0:
            ramp[:reach] *= rise
        if span.stop < side:
            ramp[count - reach :] *= rise.flip(0)
        weight = weight * ramp.reshape([-1 if other == axis else 1 for other in range(weight.ndim)])
    return weight
