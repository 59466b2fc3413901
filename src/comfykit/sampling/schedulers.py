"""Which noise levels a run visits.

A scheduler gives `steps` levels of a model, falling, and a final 0: float32 [steps + 1] on the CPU.
(ddim_uniform and beta may give another number of them.) `make_sigmas` is how a run gets its schedule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import torch
from torch import Tensor

from comfykit.errors import UsageError
from comfykit.sampling.level_schedules import exponential_sigmas, karras_sigmas, then_zero
from comfykit.sampling.noise_levels import NoiseLevels

Scheduler: TypeAlias = Callable[[NoiseLevels, int], Tensor]

DROP_SECOND_LAST = frozenset({"dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh2"})
"""Samplers that go to 0 from a higher level: the schedule of one step more without its second last."""


def simple(levels: NoiseLevels, steps: int) -> Tensor:
    """Every (len / steps)-th level of the table, from the largest down."""
    count = len(levels.sigmas)
    return then_zero(levels.sigmas[[-(1 + int(k * count / steps)) for k in range(steps)]])


def sgm_uniform(levels: NoiseLevels, steps: int) -> Tensor:
    """Timesteps evenly spaced, the smallest one left out (Stability generative-models)."""
    return then_zero(levels.sigma(_timesteps(levels, steps + 1)[:-1]))


def karras(levels: NoiseLevels, steps: int) -> Tensor:
    """Evenly spaced in sigma^(1 / 7), from the largest level to the smallest."""
    return karras_sigmas(steps, levels.sigma_max, levels.sigma_min)


def exponential(levels: NoiseLevels, steps: int) -> Tensor:
    """Evenly spaced in log-sigma, from the largest level to the smallest."""
    return exponential_sigmas(steps, levels.sigma_max, levels.sigma_min)


def ddim_uniform(levels: NoiseLevels, steps: int) -> Tensor:
    """Every (len // steps)-th level of the table, from index 1 up (arXiv 2010.02502).

    The stride is a whole number, so that there may be a level more or less than asked for.
    """
    stride = max(len(levels.sigmas) // steps, 1)
    return then_zero(levels.sigmas[1::stride].flip(0))


def beta(levels: NoiseLevels, steps: int, a: float = 0.6, b: float = 0.6) -> Tensor:
    """Timesteps at the quantiles of a beta distribution (arXiv 2407.12173); equal ones count once."""
    from scipy.special import betaincinv  # the quantiles of Beta(a, b); takes a moment to import

    quantiles = 1 - torch.linspace(0, 1, steps + 1, dtype=torch.float64)[:-1].numpy()
    indices = torch.from_numpy(betaincinv(a, b, quantiles) * (len(levels.sigmas) - 1)).round().long()
    return then_zero(levels.sigmas[torch.unique_consecutive(indices)])


def normal(levels: NoiseLevels, steps: int) -> Tensor:
    """Timesteps evenly spaced from the largest to the smallest."""
    return then_zero(levels.sigma(_timesteps(levels, steps)))


def linear_quadratic(levels: NoiseLevels, steps: int, threshold: float = 0.025) -> Tensor:
    """The schedule of Mochi: a slow linear beginning, then a quadratic fall.

    The way gone from the largest level is `threshold` at half the steps; from there on the line goes on
    at its slope, and a parabola that touches it leads to 1.
    """
    linear = steps // 2
    if linear == 0:
        return torch.tensor([levels.sigma_max, 0.0])
    k = torch.arange(steps + 1, dtype=torch.float64)
    line = threshold * k / linear
    bend = ((k - linear).clamp(min=0) / (steps - linear)) ** 2
    gone = line + (1 - threshold * steps / linear) * bend
    return torch.cat([(1 - gone[:-1]).float(), torch.zeros(1)]) * levels.sigma_max


def kl_optimal(levels: NoiseLevels, steps: int) -> Tensor:
    """Evenly spaced in the arc tangent of sigma (Align Your Steps, arXiv 2404.14507, theorem 3.1)."""
    ramp = torch.arange(steps, dtype=torch.float64) / max(steps - 1, 1)
    low, high = math.atan(levels.sigma_min), math.atan(levels.sigma_max)
    return then_zero((ramp * low + (1 - ramp) * high).tan().float())


def sd_turbo(levels: NoiseLevels, steps: int, denoise: float = 1.0) -> Tensor:
    """The timesteps 999, 899, ... 99, which distillation made SD-Turbo and SDXL-Turbo for (arXiv 2311.17042).

    There are at most 10 steps; `denoise` below 1 leaves out that part of them at the beginning.
    """
    start = 10 - int(10 * denoise)
    timesteps = (torch.arange(10, 0, -1) * 100 - 1)[start : start + steps]
    return then_zero(levels.sigma(timesteps))


_SCHEDULERS: dict[str, Scheduler] = {
    "simple": simple,
    "sgm_uniform": sgm_uniform,
    "karras": karras,
    "exponential": exponential,
    "ddim_uniform": ddim_uniform,
    "beta": beta,
    "normal": normal,
    "linear_quadratic": linear_quadratic,
    "kl_optimal": kl_optimal,
}
SCHEDULERS: Mapping[str, Scheduler] = MappingProxyType(_SCHEDULERS)


def add_scheduler(name: str, scheduler: Scheduler) -> None:
    """Make a scheduler known by a name, in this process."""
    _SCHEDULERS[name] = scheduler


def make_sigmas(
    levels: NoiseLevels, scheduler: str, steps: int, denoise: float = 1.0, sampler: str = ""
) -> Tensor:
    """The levels of a run: float32, falling, usually `steps` + 1 with the final 0.

    With `denoise` below 1 they are the end of a longer schedule, so that the run begins at a lower level;
    at 0 there are none. `sampler` matters for those in `DROP_SECOND_LAST`. Raises `UsageError` for an
    unknown scheduler or fewer than one step.
    """
    if scheduler not in SCHEDULERS:
        raise UsageError(
            f"there is no scheduler {scheduler!r}",
            hint=f"the schedulers are {', '.join(SCHEDULERS)}",
            scheduler=scheduler,
        )
    if steps < 1:
        raise UsageError(f"a run needs at least 1 step, not {steps}", steps=steps)
    if denoise <= 0:
        return torch.empty(0)
    # The last steps + 1 values: a schedule that gave more or fewer levels than asked for is cut there too.
    whole = _schedule(levels, SCHEDULERS[scheduler], int(steps / denoise), sampler)
    return whole if denoise >= 1 else whole[-(steps + 1) :]


def _schedule(levels: NoiseLevels, scheduler: Scheduler, steps: int, sampler: str) -> Tensor:
    if sampler not in DROP_SECOND_LAST:
        return scheduler(levels, steps)
    longer = scheduler(levels, steps + 1)
    return torch.cat([longer[:-2], longer[-1:]])


def _timesteps(levels: NoiseLevels, count: int) -> Tensor:
    """That many timesteps, evenly spaced from the largest level's to the smallest level's."""
    ends = levels.timestep(torch.tensor([levels.sigma_max, levels.sigma_min]))
    return torch.linspace(float(ends[0]), float(ends[1]), count)
