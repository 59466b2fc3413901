"""Predictions for the sides of guidance: positive and negative, or more of them.

A side is a list of conditionings; those that count at a level are evaluated, as many in one call as
fit side by side, and become one prediction by their weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from comfykit.sampling.batching import CondBatch, Member, make_batches
from comfykit.sampling.conditioning import Cond, PlacedCond, place_sides
from comfykit.sampling.default_conds import settle_defaults
from comfykit.sampling.denoiser import Predict

NO_WEIGHT = 1e-37
"""Begins the sum of weights, so that the prediction is 0 where no conditioning counts."""


class Sides:
    """Evaluates sides of guidance; what fits is one call of at most `max_rows` rows (None: any number)."""

    def __init__(
        self, predict: Predict, sides: Sequence[Sequence[Cond]], *, max_rows: int | None = None
    ) -> None:
        self._predict = predict
        self._sides = [tuple(side) for side in sides]
        self._max_rows = max_rows
        self._plan: _Plan | None = None
        self._last_hooks: tuple[Any, ...] = ()

    def __call__(
        self,
        x: Tensor,
        sigma: Tensor,
        which: Sequence[int] | None = None,
        change: Callable[[Any], Any] | None = None,
    ) -> list[Tensor]:
        """Predictions of x0 in x's shape for all sides, or for those in `which`.

        `change` is applied to the model's hooks. A side on which nothing counts predicts 0.
        """
        if self._plan is None or not self._plan.is_for(x):
            self._plan = _Plan(place_sides(self._sides, x), x, self._max_rows)
        wanted = tuple(range(len(self._sides))) if which is None else tuple(which)
        active, batches = self._plan.at(sigma, wanted)
        predictions = {
            member.placed: prediction
            for batch in self._in_order(batches)
            for member, prediction in zip(
                batch.members, batch.evaluate(self._predict, x, sigma, change), strict=True
            )
        }
        return [weighted_mean([(placed, predictions[placed]) for placed in side], x) for side in active]

    def _in_order(self, batches: Sequence[CondBatch]) -> list[CondBatch]:
        """Batches with the same hooks one after the other, first those with the weights of the last call.

        So the network's weights change as seldom as they can.
        """
        groups = list(dict.fromkeys((self._last_hooks, *(batch.weight_hooks for batch in batches))))
        ordered = sorted(batches, key=lambda batch: groups.index(batch.weight_hooks))
        self._last_hooks = ordered[-1].weight_hooks if ordered else self._last_hooks
        return ordered


def weighted_mean(predictions: Sequence[tuple[PlacedCond, Tensor]], x: Tensor) -> Tensor:
    """Predictions for parts of x as one for the whole of it: weighted sums over the sums of weights."""
    if len(predictions) == 1 and predictions[0][0].whole:
        return predictions[0][1]
    total = torch.zeros_like(x, dtype=torch.float32)
    weights = torch.full_like(x[:, :1], NO_WEIGHT, dtype=torch.float32)
    for placed, prediction in predictions:
        total[placed.region] += prediction * placed.weight
        weights[placed.region] += placed.weight
    return (total / weights).to(x.dtype)


_Placed: TypeAlias = list[list[PlacedCond]]


class _Plan:
    """The conditionings fitted to one latent, and the batches in which those that count are evaluated."""

    def __init__(self, sides: _Placed, x: Tensor, max_rows: int | None) -> None:
        self._shape, self._device = x.shape, x.device
        self._sides = sides
        self._max_rows = max_rows
        self._always = all(placed.cond.always_active for side in self._sides for placed in side)
        self._made: dict[tuple[tuple[int, ...], tuple[bool, ...]], tuple[_Placed, list[CondBatch]]] = {}

    def is_for(self, x: Tensor) -> bool:
        return self._shape == x.shape and self._device == x.device

    def at(self, sigma: Tensor, which: tuple[int, ...]) -> tuple[_Placed, list[CondBatch]]:
        """The wanted sides' conditionings that count at sigma [batch] (one level), and their batches."""
        # Reading sigma waits for the device, so it is done only where ranges ask for it.
        level = 0.0 if self._always else float(sigma[0])
        active = tuple(
            self._always or placed.cond.active_at(level) for side in which for placed in self._sides[side]
        )
        if (which, active) not in self._made:
            flags = iter(active)
            counting = [[placed for placed in self._sides[side] if next(flags)] for side in which]
            sides = [settle_defaults(side, self._shape, self._device) for side in counting]
            members = [
                Member(placed, number) for number, side in zip(which, sides, strict=True) for placed in side
            ]
            self._made[which, active] = sides, make_batches(members, self._max_rows)
        return self._made[which, active]
