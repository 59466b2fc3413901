"""Nodes that change schedules. A schedule of n steps has n + 1 levels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated

import torch

from comfykit.engine.define import boolean, combo, integer, node, number, text
from comfykit.errors import UsageError
from comfykit.nodes.types import Float, Model, Sigmas

CATEGORY = "sampling/custom_sampling/sigmas"
HALVES = ("high_sigmas", "low_sigmas")
NEARLY_NONE = 0.0001
"""Begins a schedule that was turned round, as no network takes a level of 0."""

SPACINGS: Mapping[str, Callable[[float], float]] = MappingProxyType(
    {
        "linear": lambda part: part,
        "cosine": lambda part: math.sin(part * math.pi / 2),
        "sine": lambda part: 1 - math.cos(part * math.pi / 2),
    }
)
"""How far between two levels the inserted ones are, by their place among them."""


@node("SplitSigmas", title="SplitSigmas", category=CATEGORY, output_names=HALVES)
def split_sigmas(sigmas: Sigmas, step: Annotated[int, integer(0, 0, 10_000)]) -> tuple[Sigmas, Sigmas]:
    """Cut a schedule before a step, so that two samplers share it; the level there is in both parts."""
    return sigmas[: step + 1], sigmas[step:]


@node("SplitSigmasDenoise", title="SplitSigmasDenoise", category=CATEGORY, output_names=HALVES)
def split_sigmas_denoise(
    sigmas: Sigmas, denoise: Annotated[float, number(1.0, 0.0, 1.0)]
) -> tuple[Sigmas, Sigmas]:
    """Cut a schedule so that the second part has the part `denoise` of its steps."""
    steps = max(len(sigmas) - 1, 0)
    cut = steps - round(steps * denoise)
    return sigmas[: cut + 1], sigmas[cut:]


@node("FlipSigmas", title="FlipSigmas", category=CATEGORY)
def flip_sigmas(sigmas: Sigmas) -> Sigmas:
    """Turn a schedule round, from low to high levels, to bring a latent back to noise."""
    flipped = sigmas.flip(0)
    if len(flipped) and flipped[0] == 0:
        flipped[0] = NEARLY_NONE
    return flipped


@node("SetFirstSigma", title="SetFirstSigma", category=CATEGORY)
def set_first_sigma(
    sigmas: Sigmas, sigma: Annotated[float, number(136.0, 0.0, 20_000.0, 0.001, round=False)]
) -> Sigmas:
    """Begin a schedule at another level."""
    changed = sigmas.clone()
    changed[:1] = sigma
    return changed


@node("ExtendIntermediateSigmas", title="ExtendIntermediateSigmas", category=CATEGORY)
def extend_intermediate_sigmas(
    sigmas: Sigmas,
    steps: Annotated[int, integer(2, 1, 100)],
    start_at_sigma: Annotated[float, number(-1.0, -1.0, 20_000.0, round=False)],
    end_at_sigma: Annotated[float, number(12.0, 0.0, 20_000.0, round=False)],
    spacing: Annotated[str, combo(tuple(SPACINGS))],
) -> Sigmas:
    """Make `steps` steps of each step that begins between two levels, both included.

    A `start_at_sigma` below 0 sets no upper end.
    """
    highest = math.inf if start_at_sigma < 0 else start_at_sigma
    parts = [SPACINGS[spacing](k / steps) for k in range(steps)]
    levels = sigmas.tolist()
    extended: list[float] = []
    for sigma, sigma_next in pairwise(levels):
        within = end_at_sigma <= sigma <= highest
        extended += [sigma + (sigma_next - sigma) * part for part in (parts if within else parts[:1])]
    return torch.tensor([*extended, *levels[-1:]], dtype=torch.float32)


@node(
    "SamplingPercentToSigma",
    title="SamplingPercentToSigma",
    category=CATEGORY,
    output_names=("sigma_value",),
)
def sampling_percent_to_sigma(
    model: Model,
    sampling_percent: Annotated[float, number(0.0, 0.0, 1.0, 0.0001)],
    return_actual_sigma: Annotated[bool, boolean(False)],
) -> Float:
    """The noise level of a model after that part of the way from noise to picture.

    The very beginning is told as a level above all and the end as 0, or, with `return_actual_sigma`, as the
    model's largest and smallest.
    """
    levels = model.levels
    if return_actual_sigma and sampling_percent in (0.0, 1.0):
        return levels.sigma_max if sampling_percent == 0.0 else levels.sigma_min
    return levels.percent_to_sigma(sampling_percent)


@node("ManualSigmas", title="ManualSigmas", category="sampling/custom_sampling/schedulers")
def manual_sigmas(sigmas: Annotated[str, text("1, 0.5")]) -> Sigmas:
    """A schedule written down by hand: noise levels from high to low, with commas or spaces between them."""
    written = sigmas.replace(",", " ").split()
    try:
        levels = [float(level) for level in written]
    except ValueError as error:
        raise UsageError(
            f"{sigmas!r} is no list of numbers", hint="write levels as in 14.6, 3.2, 0.5, 0"
        ) from error
    if not all(math.isfinite(level) and level >= 0 for level in levels):
        raise UsageError(
            f"{sigmas!r} has levels that are no noise levels", hint="they are 0 or above, and finite"
        )
    return torch.tensor(levels, dtype=torch.float32)
