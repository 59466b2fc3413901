"""The interfaces that the parts of sampling meet at.

`Predict` is the network seen from here, `Denoiser` what a sampler sees: a guided prediction of the
clean latent, whatever guidance, masks or areas lie behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from torch import Tensor

from comfykit.errors import UsageError


class Denoiser(Protocol):
    """Predicts the clean latent x0 from x."""

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The prediction, in x's shape.

        `x` is [batch, channels, ...] = x0 + sigma * noise (or the model's own mixture of the two), `sigma`
        float32 [batch] on x's device, the same for all rows.
        """
        ...


class TwoSidedDenoiser(Denoiser, Protocol):
    """A denoiser that tells the negative side's prediction beside the guided one."""

    def both(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """(guided, negative), whatever the strength of guidance is."""
        ...


def both_sides(denoiser: Denoiser) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """`both` of a denoiser that has it.

    Raises `UsageError` for one that has a single side, such as that of a basic guider.
    """
    both = getattr(denoiser, "both", None)
    if both is None:
        raise UsageError(
            "this sampler needs a negative prompt to guide away from, and the guider has none",
            hint="use CFGGuider, or a sampler whose name does not end in cfg_pp",
        )
    found: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = both
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """One call of the network: several conditionings side by side, `len(sides)` of them.

    `x` [rows, channels, ...], `sigma` float32 [rows], `context` [rows, tokens, width], `extra` further inputs
    of the network by name, each with `rows` as its first dimension. Every conditioning has as many rows
    as the others, and `sides` says for which side of guidance each is: 0 positive, 1 negative, ...
    `controls` (ControlNets) act on all rows, and so do `weight_hooks`, changes to the network's weights,
    and `grounding`, phrases in boxes.
    `change` is applied to the model's hooks for this call.
    """

    x: Tensor
    sigma: Tensor
    context: Tensor
    extra: Mapping[str, Tensor]
    sides: tuple[int, ...] = (0,)
    controls: tuple[Any, ...] = ()
    weight_hooks: tuple[Any, ...] = ()
    grounding: Any = None
    change: Callable[[Any], Any] | None = None


Predict: TypeAlias = Callable[[Evaluation], Tensor]
"""One evaluation of the network, turned into predictions of x0 in the shape of the evaluation's x."""

PredictWrapper: TypeAlias = Callable[[Predict, Evaluation], Tensor]
"""Stands around the network: it may change the evaluation, the prediction, or do without the network."""


@dataclass(frozen=True, slots=True, eq=False)
class StepInfo:
    """One finished step of a sampler.

    `step` counts from 0 to `total` - 1. `x` is the state the step began with, at noise level `sigma`, and
    `denoised` the prediction of x0 made from it: what a preview shows.
    """

    step: int
    total: int
    sigma: float
    x: Tensor
    denoised: Tensor


StepCallback: TypeAlias = Callable[[StepInfo], None]
"""Told about each step; what it raises ends the run."""


def ignore_step(info: StepInfo) -> None:
    """The callback of a run that nobody watches."""
