"""The interfaces that the parts of sampling meet at.

`Predict` is the network seen from here, `Denoiser` what a sampler sees: a guided prediction of the
clean latent, whatever guidance, masks or areas lie behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from torch import Tensor


class Denoiser(Protocol):
    """Predicts the clean latent x0 from x."""

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The prediction, in x's shape.

        `x` is [batch, channels, ...] = x0 + sigma * noise (or the model's own mixture of the two), `sigma`
        float32 [batch] on x's device, the same for all rows.
        """
        ...


class Predict(Protocol):
    """One evaluation of the network."""

    def __call__(self, x: Tensor, sigma: Tensor, context: Tensor, extra: Mapping[str, Tensor], /) -> Tensor:
        """The prediction of x0 that the network makes from x, in x's shape.

        `x` [rows, channels, ...], `sigma` float32 [rows], `context` [rows, tokens, width], `extra` further
        inputs of the network by name, each with `rows` as its first dimension.
        """
        ...


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
