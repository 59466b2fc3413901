"""Which conditionings are evaluated together: one call of the network for as many as fit side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from comfykit.sampling.conditioning import PlacedCond
from comfykit.sampling.denoiser import Evaluation, Predict

MOST_REPEATS = 4
"""Prompts of several lengths go together while none has to be repeated more often than this."""


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A conditioning and the side of guidance that it is on: 0 positive, 1 negative, ..."""

    placed: PlacedCond
    side: int


@dataclass(frozen=True, slots=True, eq=False)
class CondBatch:
    """Conditionings for one call: `context` and `extra` hold their inputs, one after the other."""

    members: tuple[Member, ...]
    context: Tensor
    extra: Mapping[str, Tensor]

    @property
    def weight_hooks(self) -> tuple[Any, ...]:
        """Those of every member."""
        return self.members[0].placed.cond.weight_hooks

    def evaluate(
        self, predict: Predict, x: Tensor, sigma: Tensor, change: Callable[[Any], Any] | None = None
    ) -> Sequence[Tensor]:
        """Prediction of x0 in each member's region, from x [batch, channels, ...] and sigma [batch]."""
        predicted = predict(
            Evaluation(
                x=torch.cat([x[member.placed.region] for member in self.members]),
                sigma=sigma.repeat(len(self.members)),
                context=self.context,
                extra=self.extra,
                sides=tuple(member.side for member in self.members),
                controls=self.members[0].placed.cond.controls,
                weight_hooks=self.weight_hooks,
                grounding=self.members[0].placed.cond.grounding,
                change=change,
            )
        )
        return predicted.chunk(len(self.members))


def make_batches(members: Sequence[Member], max_rows: int | None = None) -> list[CondBatch]:
    """Distribute conditionings over calls of at most `max_rows` rows, at least one conditioning each."""
    groups: list[list[Member]] = []
    for member in members:
        for group in groups:
            rows = (len(group) + 1) * member.placed.cond.embedding.shape[0]
            if (max_rows is None or rows <= max_rows) and _fits(member.placed, group):
                group.append(member)
                break
        else:
            groups.append([member])
    return [_joined(group) for group in groups]


def _fits(placed: PlacedCond, group: Sequence[Member]) -> bool:
    first = group[0].placed
    lengths = [placed.cond.embedding.shape[1], *(one.placed.cond.embedding.shape[1] for one in group)]
    beside = placed.cond.controls == first.cond.controls and placed.cond.grounding is first.cond.grounding
    same = beside and placed.cond.weight_hooks == first.cond.weight_hooks
    return same and _shapes(placed) == _shapes(first) and math.lcm(*lengths) <= MOST_REPEATS * min(lengths)


def _shapes(placed: PlacedCond) -> object:
    """What must be equal for two conditionings to be rows of one batch."""
    extra = {name: value.shape for name, value in placed.cond.model_inputs.items()}
    spans = [span.stop - span.start for span in placed.region[2:]]
    return placed.cond.embedding.shape[0], placed.cond.embedding.shape[2:], spans, extra


def _joined(group: Sequence[Member]) -> CondBatch:
    conds = [member.placed.cond for member in group]
    # Attention over a prompt that is repeated whole gives what it gives over the prompt once.
    tokens = math.lcm(*(cond.embedding.shape[1] for cond in conds))
    context = torch.cat([cond.embedding.repeat(1, tokens // cond.embedding.shape[1], 1) for cond in conds])
    extra = {name: torch.cat([cond.model_inputs[name] for cond in conds]) for name in conds[0].model_inputs}
    return CondBatch(tuple(group), context, extra)
