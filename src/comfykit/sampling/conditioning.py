"""What a prediction is conditioned on, and where, how strongly and at which noise levels it counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from comfykit.sampling.areas import (
    Area,
    RelativeArea,
    bounds_of,
    clipped,
    covers,
    feathered,
    in_cells,
    slices_of,
)

__all__ = ["Area", "Cond", "PlacedCond", "RelativeArea", "fit_mask", "place_sides", "repeat_to_batch"]


@dataclass(frozen=True, slots=True, eq=False)
class Cond:
    """One conditioning of the network.

    `embedding` is [1 or batch, tokens, width]; `model_inputs` are further inputs of the network by name,
    [1 or batch, ...]; those in the latent's own shape of space are cut to the area with it.

    `mask` [any, height, width], of any size, weighs the prediction by place, times `mask_strength`. With
    `within_bounds` the area is the box around the mask. `strength` weighs it against the others
    that count at the same place. It counts at noise levels from `start_sigma` down to `end_sigma`, and, where
    its embedding is one of several that follow each other, from the first of `text_sigmas` down to, but not
    at, the second. A `default` one counts only where no other of its side weighs anything.
    `controls`, `weight_hooks` and `grounding` are handed to the network as they are; conditionings that
    share a call have the same.
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
    text_sigmas: tuple[float, float] = (math.inf, -math.inf)
    controls: tuple[Any, ...] = ()
    weight_hooks: tuple[Any, ...] = ()
    grounding: Any = None
    default: bool = False

    @property
    def always_active(self) -> bool:
        """Whether it counts at every noise level."""
        whole = self.start_sigma == math.inf and self.end_sigma <= 0
        return whole and self.text_sigmas == (math.inf, -math.inf)

    def active_at(self, sigma: float) -> bool:
        """Whether it counts at this noise level."""
        first, last = self.text_sigmas
        return self.end_sigma <= sigma <= self.start_sigma and last < sigma <= first


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


def place_sides(sides: Sequence[Sequence[Cond]], x: Tensor) -> list[list[PlacedCond]]:
    """Fit the conditionings of all sides of guidance to x [batch, channels, ...], areas on every side."""
    settled = [[_settle(cond, x) for cond in side] for side in sides]
    for i in reversed(range(len(settled))):  # the negative side first
        for j, others in enumerate(settled):
            if i != j:
                settled[i] = _with_counterparts(settled[i], others)
    return [[_place(one, x) for one in side] for side in settled]


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


@dataclass(frozen=True, slots=True, eq=False)
class _Settled:
    """A conditioning with its area in cells, None for everywhere, and its mask in the latent's size."""

    cond: Cond
    area: Area | None
    mask: Tensor | None

    @property
    def cells(self) -> float:
        return math.inf if self.area is None else math.prod(self.area.size)


def _settle(cond: Cond, x: Tensor) -> _Settled:
    space = tuple(x.shape[2:])
    mask = None if cond.mask is None else fit_mask(cond.mask, x).expand(-1, -1, *space)
    area = bounds_of(mask) if mask is not None and cond.within_bounds else cond.area
    if isinstance(area, RelativeArea):
        area = in_cells(area, space)
    return _Settled(cond, None if area is None else clipped(area, space), mask)


def _with_counterparts(side: Sequence[_Settled], others: Sequence[_Settled]) -> list[_Settled]:
    """Conditionings of one side, and one more for each area of the other side that this one has not.

    The network predicts other things for a part than for the whole, so what guidance compares in an area
    should be predictions for that area. A counterpart has the area with its weights, levels and controls
    from the other side; what it says is taken from the smallest area around it on this side, or from the
    whole.
    """
    found = list(side)
    for other in others:
        if other.area is None:
            continue
        around = [ours for ours in found if ours.area is None or covers(ours.area, other.area)]
        nearest = min(around, key=lambda ours: ours.cells, default=None)
        if nearest is not None and nearest.area != other.area:
            said = nearest.cond
            cond = replace(other.cond, embedding=said.embedding, model_inputs=said.model_inputs)
            found.append(replace(other, cond=cond))
    return found


def _place(settled: _Settled, x: Tensor) -> PlacedCond:
    """Fit a conditioning to x: its region, its weight, the batch and the device of its tensors."""
    cond, space, rows = settled.cond, x.shape[2:], x.shape[0]
    spans = tuple(slice(0, side) for side in space) if settled.area is None else slices_of(settled.area)
    region = (slice(None), slice(None), *spans)
    inputs = {
        # An input that lies over the latent is cut with it.
        name: repeat_to_batch((value[region] if value.shape[2:] == space else value).to(x.device), rows)
        for name, value in cond.model_inputs.items()
    }
    embedding = repeat_to_batch(cond.embedding.to(x.device), rows)
    fitted = replace(cond, embedding=embedding, model_inputs=inputs)
    return PlacedCond(fitted, region, _weight(settled, x, region))


def _weight(settled: _Settled, x: Tensor, region: tuple[slice, ...]) -> Tensor | float:
    cond = settled.cond
    if settled.mask is not None:
        return settled.mask[region] * (cond.mask_strength * cond.strength)
    if settled.area is not None:
        return feathered(settled.area, tuple(x.shape[2:])).to(x) * cond.strength
    return cond.strength
