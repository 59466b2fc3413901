"""Guidance: several conditioned predictions become one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from comfykit.sampling.batching import CondBatch, make_batches
from comfykit.sampling.conditioning import Cond, PlacedCond, place_sides
from comfykit.sampling.denoiser import Predict

NO_WEIGHT = 1e-37
"""Begins the sum of weights, so that the prediction is 0 where no conditioning counts."""


@dataclass(frozen=True, slots=True, eq=False)
class GuidanceInputs:
    """What a rule of guidance combines: predictions of x0 made from x at sigma [batch]."""

    positive: Tensor
    negative: Tensor
    x: Tensor
    sigma: Tensor
    cfg: float


Combine: TypeAlias = Callable[[GuidanceInputs], Tensor]
"""A rule of guidance: classifier-free, rescaled, projected, ..."""


def classifier_free(inputs: GuidanceInputs) -> Tensor:
    """U + cfg (C - U) (arXiv 2207.12598)."""
    return inputs.negative + (inputs.positive - inputs.negative) * inputs.cfg


class GuidedDenoiser:
    """A `Denoiser` that evaluates the conditionings that count at a level and combines both sides.

    What fits side by side is evaluated in one call of at most `max_rows` rows (None: any number). At
    `cfg` 1 the negative side is not evaluated and `combine` not asked, unless `always_negative`. A side
    without a conditioning that counts predicts 0.
    """

    def __init__(
        self,
        predict: Predict,
        positive: Sequence[Cond],
        negative: Sequence[Cond],
        cfg: float,
        combine: Combine = classifier_free,
        *,
        always_negative: bool = False,
        max_rows: int | None = None,
    ) -> None:
        self._predict = predict
        self._cfg = cfg
        self._combine = combine
        self._max_rows = max_rows
        self._positive, self._negative = tuple(positive), tuple(negative)
        self._two_sided = always_negative or not math.isclose(cfg, 1.0)
        self._plan: _Plan | None = None

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The guided prediction of x0."""
        positive, *negative = self.sides(x, sigma)
        if not negative:
            return positive
        return self._combine(GuidanceInputs(positive, negative[0], x, sigma, self._cfg))

    def sides(self, x: Tensor, sigma: Tensor) -> list[Tensor]:
        """The positive prediction of x0 and, unless guidance does without, the negative one."""
        if self._plan is None or not self._plan.is_for(x):
            positive, negative = place_sides(self._positive, self._negative, x)
            sides = [positive, negative] if self._two_sided else [positive]
            self._plan = _Plan(sides, x, self._max_rows)
        active, batches = self._plan.at(sigma)
        predictions = {
            member: prediction
            for batch in batches
            for member, prediction in zip(batch.members, batch.evaluate(self._predict, x, sigma), strict=True)
        }
        return [weighted_mean([(cond, predictions[cond]) for cond in side], x) for side in active]


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


_Sides: TypeAlias = list[list[PlacedCond]]


class _Plan:
    """The conditionings fitted to one latent, and the batches in which those that count are evaluated."""

    def __init__(self, sides: _Sides, x: Tensor, max_rows: int | None) -> None:
        self._shape, self._device = x.shape, x.device
        self._sides = sides
        self._max_rows = max_rows
        self._always = all(placed.cond.always_active for side in self._sides for placed in side)
        self._made: dict[tuple[bool, ...], tuple[_Sides, list[CondBatch]]] = {}

    def is_for(self, x: Tensor) -> bool:
        return self._shape == x.shape and self._device == x.device

    def at(self, sigma: Tensor) -> tuple[_Sides, list[CondBatch]]:
        """The conditionings that count at sigma [batch] (one level), by side, and their batches."""
        # Reading sigma waits for the device, so it is done only where ranges ask for it.
        level = 0.0 if self._always else float(sigma[0])
        active = tuple(
            self._always or placed.cond.active_at(level) for side in self._sides for placed in side
        )
        if active not in self._made:
            flags = iter(active)
            sides = [[placed for placed in side if next(flags)] for side in self._sides]
            together = [placed for side in sides for placed in side]
            self._made[active] = sides, make_batches(together, self._max_rows)
        return self._made[active]
