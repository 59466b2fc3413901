"""Guidance: the predictions of several sides become one.

A model carries `GuidanceRules`, which nodes add to: what happens to the predictions before they are
combined, how they are combined, and what happens to the result. A rule may ask for further
predictions, of another x or from a network with other hooks (`GuidanceInputs.evaluate`), may watch the
network while it makes the step's own predictions, and may remember something until the next step. The rules
themselves are in `comfykit.sampling.rules`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

from comfykit.sampling.conditioning import Cond
from comfykit.sampling.denoiser import Predict
from comfykit.sampling.sides import Sides

POSITIVE, NEGATIVE = 0, 1


class Evaluate(Protocol):
    """Makes further predictions in a step."""

    def __call__(
        self, side: int, x: Tensor | None = None, change: Callable[[Any], Any] | None = None
    ) -> Tensor:
        """Prediction of x0 for one side, from x (the step's own where None) and with changed hooks."""
        ...


Memory: TypeAlias = dict[object, Any]
"""What rules remember during one run, each under a key of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class GuidanceInputs:
    """What rules of guidance work with: predictions of x0 made from x at sigma [batch].

    `negative` is 0 and `has_negative` false where guidance does without it: at `cfg` 1, and where there is no
    negative prompt. `further` are the
    predictions of the sides after those two, for guiders and rules that have them.
    """

    positive: Tensor
    negative: Tensor
    x: Tensor
    sigma: Tensor
    cfg: float
    evaluate: Evaluate
    has_negative: bool = True
    further: tuple[Tensor, ...] = ()
    memory: Memory = field(default_factory=dict)


Before: TypeAlias = Callable[[GuidanceInputs], GuidanceInputs]
"""Changes the predictions before they are combined."""

Combine: TypeAlias = Callable[[GuidanceInputs], Tensor]
"""Makes one prediction of both: classifier-free, rescaled, projected, ..."""

After: TypeAlias = Callable[[Tensor, GuidanceInputs], Tensor]
"""Changes the combined prediction."""

Watch: TypeAlias = Callable[[Any, Memory], Any]
"""Changes a model's hooks for the step's own predictions, so that they note something in the memory."""


def classifier_free(inputs: GuidanceInputs) -> Tensor:
    """U + cfg (C - U) (arXiv 2207.12598)."""
    return inputs.negative + (inputs.positive - inputs.negative) * inputs.cfg


@dataclass(frozen=True, slots=True)
class GuidanceRules:
    """How a model is guided. With `always_negative` the negative side is evaluated at `cfg` 1 too."""

    before: tuple[Before, ...] = ()
    combine: Combine = classifier_free
    after: tuple[After, ...] = ()
    always_negative: bool = False
    watches: tuple[Watch, ...] = ()

    def then(self, after: After, *, always_negative: bool = False) -> GuidanceRules:
        """The same rules and one more that changes the result."""
        return replace(
            self, after=(*self.after, after), always_negative=self.always_negative or always_negative
        )

    def first(self, before: Before, *, always_negative: bool = False) -> GuidanceRules:
        """The same rules and one more that changes the predictions."""
        return replace(
            self, before=(*self.before, before), always_negative=self.always_negative or always_negative
        )

    def combined_by(self, combine: Combine, *, always_negative: bool = False) -> GuidanceRules:
        """The same rules with another way to combine both sides."""
        return replace(self, combine=combine, always_negative=self.always_negative or always_negative)

    def watched_by(self, watch: Watch) -> GuidanceRules:
        """The same rules and one more that watches the network."""
        return replace(self, watches=(*self.watches, watch))

    def change(self, memory: Memory) -> Callable[[Any], Any] | None:
        """What the rules that watch make of a model's hooks; None where there are none."""
        if not self.watches:
            return None
        return lambda hooks: functools.reduce(lambda found, watch: watch(found, memory), self.watches, hooks)

    def apply(self, inputs: GuidanceInputs) -> tuple[Tensor, Tensor]:
        """The guided prediction, and the negative one that it was made with."""
        for before in self.before:
            inputs = before(inputs)
        guided = self.combine(inputs)
        for after in self.after:
            guided = after(guided, inputs)
        return guided, inputs.negative


PLAIN = GuidanceRules()


class GuidedDenoiser:
    """A `Denoiser` that evaluates the conditionings that count at a level and combines both sides.

    At `cfg` 1 the negative side is not evaluated unless the rules want it. A side without a conditioning
    that counts predicts 0. `further` sides are evaluated together with both, for rules that know them.
    """

    def __init__(
        self,
        predict: Predict,
        positive: Sequence[Cond],
        negative: Sequence[Cond],
        cfg: float,
        rules: GuidanceRules = PLAIN,
        *,
        further: Sequence[Sequence[Cond]] = (),
        max_rows: int | None = None,
    ) -> None:
        self._sides = Sides(predict, (positive, negative, *further), max_rows=max_rows)
        self._further = tuple(range(NEGATIVE + 1, NEGATIVE + 1 + len(further)))
        self._cfg = cfg
        self._rules = rules
        self._memory: Memory = {}
        self._has_negative = bool(negative)
        self._two_sided = rules.always_negative or not math.isclose(cfg, 1.0)

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The guided prediction of x0."""
        return self._guide(x, sigma, two_sided=self._two_sided)[0]

    def both(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """The guided prediction of x0 and the negative one, whatever `cfg` is; CFG++ needs both."""
        return self._guide(x, sigma, two_sided=True)

    def _guide(self, x: Tensor, sigma: Tensor, *, two_sided: bool) -> tuple[Tensor, Tensor]:
        which = (POSITIVE, NEGATIVE) if two_sided else (POSITIVE,)
        change = self._rules.change(self._memory)
        found = self._sides(x, sigma, (*which, *self._further), change)
        inputs = GuidanceInputs(
            positive=found[POSITIVE],
            negative=found[NEGATIVE] if two_sided else torch.zeros_like(found[POSITIVE]),
            x=x,
            sigma=sigma,
            cfg=self._cfg,
            evaluate=_Evaluator(self._sides, x, sigma),
            has_negative=two_sided and self._has_negative,
            further=tuple(found[len(which) :]),
            memory=self._memory,
        )
        return self._rules.apply(inputs)


@dataclass(frozen=True, slots=True, eq=False)
class _Evaluator:
    """`Evaluate` for one step."""

    sides: Sides
    x: Tensor
    sigma: Tensor

    def __call__(
        self, side: int, x: Tensor | None = None, change: Callable[[Any], Any] | None = None
    ) -> Tensor:
        return self.sides(self.x if x is None else x, self.sigma, (side,), change)[0]
