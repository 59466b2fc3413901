"""Our schedulers as packs call them, and theirs for our nodes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from comfykit.compat.host.comfy.model_sampling import engine_parts, view_of
from comfykit.sampling import schedulers as ours
from comfykit.sampling.noise_levels import NoiseLevels
from comfykit.sampling.parametrization import EpsPrediction


def levels_of(model_sampling: Any) -> NoiseLevels:
    """The levels of an object of levels and parametrization, in our terms."""
    return engine_parts(model_sampling)[0]


def simple_scheduler(model_sampling: Any, steps: int) -> Tensor:
    """`simple`."""
    return ours.simple(levels_of(model_sampling), steps)


def ddim_scheduler(model_sampling: Any, steps: int) -> Tensor:
    """`ddim_uniform`."""
    return ours.ddim_uniform(levels_of(model_sampling), steps)


def normal_scheduler(model_sampling: Any, steps: int, sgm: bool = False, floor: bool = False) -> Tensor:
    """`normal`, or with `sgm` `sgm_uniform`."""
    return (ours.sgm_uniform if sgm else ours.normal)(levels_of(model_sampling), steps)


def beta_scheduler(model_sampling: Any, steps: int, alpha: float = 0.6, beta: float = 0.6) -> Tensor:
    """`beta`."""
    return ours.beta(levels_of(model_sampling), steps, alpha, beta)


def linear_quadratic_schedule(
    model_sampling: Any, steps: int, threshold_noise: float = 0.025, linear_steps: int | None = None
) -> Tensor:
    """`linear_quadratic`."""
    return ours.linear_quadratic(levels_of(model_sampling), steps, threshold_noise)


def kl_optimal_scheduler(n: int, sigma_min: float, sigma_max: float) -> Tensor:
    """`kl_optimal`."""
    ramp = torch.linspace(0, 1, n)
    levels = (ramp * math.atan(sigma_min) + (1 - ramp) * math.atan(sigma_max)).tan()
    return torch.cat([levels, levels.new_zeros(1)])


class SchedulerHandler(NamedTuple):
    """A scheduler: of (model_sampling, steps), or of (n, sigma_min, sigma_max)."""

    handler: Callable[..., Tensor]
    use_ms: bool = True


def _handler(name: str) -> SchedulerHandler:
    def by_name(model_sampling: Any, steps: int) -> Tensor:
        return ours.SCHEDULERS[name](levels_of(model_sampling), steps)

    return SchedulerHandler(by_name)


SCHEDULER_HANDLERS = {name: _handler(name) for name in ours.SCHEDULERS}
SCHEDULER_NAMES = list(SCHEDULER_HANDLERS)


def engine_scheduler(handler: SchedulerHandler) -> Callable[[NoiseLevels, int], Tensor]:
    """A scheduler of a pack's for our nodes."""

    def schedule(levels: NoiseLevels, steps: int) -> Tensor:
        view = view_of(levels, EpsPrediction())
        found = (
            handler.handler(view, steps)
            if handler.use_ms
            else handler.handler(n=steps, sigma_min=levels.sigma_min, sigma_max=levels.sigma_max)
        )
        return torch.as_tensor(found).float().cpu()

    return schedule
