"""Nodes that make schedules: the noise levels that a run visits, from the first down to 0."""

from __future__ import annotations

import math
from typing import Annotated

from comfykit.engine.define import boolean, combo, integer, node, number
from comfykit.nodes.sampling import SchedulerName, Steps
from comfykit.nodes.types import Latent, Model, Sigmas
from comfykit.sampling.level_schedules import (
    exponential_sigmas,
    karras_sigmas,
    laplace_sigmas,
    ltxv_sigmas,
    polyexponential_sigmas,
    vp_sigmas,
)
from comfykit.sampling.schedulers import beta as beta_schedule
from comfykit.sampling.schedulers import make_sigmas, sd_turbo
from comfykit.sampling.table_schedules import ALIGN_YOUR_STEPS, align_your_steps, gits

CATEGORY = "sampling/custom_sampling/schedulers"
LTXV_TOKENS = 4096

Denoise = Annotated[float, number(1.0, 0.0, 1.0)]
SigmaMax = Annotated[float, number(14.614642, 0.0, 5000.0, round=False)]
SigmaMin = Annotated[float, number(0.0291675, 0.0, 5000.0, round=False)]
BetaShape = Annotated[float, number(0.6, 0.0, 50.0, round=False)]
Shift = Annotated[float, number(0.95, 0.0, 100.0)]


@node("BasicScheduler", title="BasicScheduler", category=CATEGORY)
def basic_scheduler(model: Model, scheduler: SchedulerName, steps: Steps, denoise: Denoise) -> Sigmas:
    """The schedule that KSampler makes of the same inputs.

    `denoise` below 1 gives the end of a longer schedule, for a run that begins at a latent.
    """
    return make_sigmas(model.levels, scheduler, steps, denoise)


@node("KarrasScheduler", title="KarrasScheduler", category=CATEGORY)
def karras_scheduler(
    steps: Steps,
    sigma_max: SigmaMax,
    sigma_min: SigmaMin,
    rho: Annotated[float, number(7.0, 0.0, 100.0, round=False)],
) -> Sigmas:
    """A schedule even in sigma^(1 / rho): the higher `rho`, the more steps are at low levels."""
    return karras_sigmas(steps, sigma_max, sigma_min, rho)


@node("ExponentialScheduler", title="ExponentialScheduler", category=CATEGORY)
def exponential_scheduler(steps: Steps, sigma_max: SigmaMax, sigma_min: SigmaMin) -> Sigmas:
    """A schedule even in log-sigma: each level is the same part of the one before."""
    return exponential_sigmas(steps, sigma_max, sigma_min)


@node("PolyexponentialScheduler", title="PolyexponentialScheduler", category=CATEGORY)
def polyexponential_scheduler(
    steps: Steps,
    sigma_max: SigmaMax,
    sigma_min: SigmaMin,
    rho: Annotated[float, number(1.0, 0.0, 100.0, round=False)],
) -> Sigmas:
    """A schedule that follows a power of an even ramp in log-sigma: `rho` 1 is the exponential one."""
    return polyexponential_sigmas(steps, sigma_max, sigma_min, rho)


@node("LaplaceScheduler", title="LaplaceScheduler", category=CATEGORY)
def laplace_scheduler(
    steps: Steps,
    sigma_max: SigmaMax,
    sigma_min: SigmaMin,
    mu: Annotated[float, number(0.0, -10.0, 10.0, 0.1, round=False)],
    beta: Annotated[float, number(0.5, 0.0, 10.0, 0.1, round=False)],
) -> Sigmas:
    """A schedule that has most steps near the level e^mu; `beta` is how far they spread from it."""
    return laplace_sigmas(steps, sigma_max, sigma_min, mu, beta)


@node("VPScheduler", title="VPScheduler", category=CATEGORY)
def vp_scheduler(
    steps: Steps,
    beta_d: Annotated[float, number(19.9, 0.0, 5000.0, round=False)],
    beta_min: Annotated[float, number(0.1, 0.0, 5000.0, round=False)],
    eps_s: Annotated[float, number(0.001, 0.0, 1.0, 0.0001, round=False)],
) -> Sigmas:
    """A schedule even in the time of a diffusion that keeps the variance, from 1 to `eps_s`."""
    return vp_sigmas(steps, beta_d, beta_min, eps_s)


@node("BetaSamplingScheduler", title="BetaSamplingScheduler", category=CATEGORY)
def beta_sampling_scheduler(model: Model, steps: Steps, alpha: BetaShape, beta: BetaShape) -> Sigmas:
    """A schedule at the quantiles of a beta distribution of timesteps.

    Below 1, `alpha` brings more steps to low levels and `beta` more to high ones.
    """
    return beta_schedule(model.levels, steps, alpha, beta)


@node("SDTurboScheduler", title="SDTurboScheduler", category=CATEGORY)
def sd_turbo_scheduler(model: Model, steps: Annotated[int, integer(1, 1, 10)], denoise: Denoise) -> Sigmas:
    """The levels that SD-Turbo and SDXL-Turbo were distilled for."""
    return sd_turbo(model.levels, steps, denoise)


@node("AlignYourStepsScheduler", title="AlignYourStepsScheduler", category=CATEGORY)
def align_your_steps_scheduler(
    model_type: Annotated[str, combo(tuple(ALIGN_YOUR_STEPS), multiselect=False)],
    steps: Annotated[int, integer(10, 1, 10_000)],
    denoise: Denoise,
) -> Sigmas:
    """The published levels that lose least in few steps, for SD 1.x, SDXL or Stable Video Diffusion."""
    return align_your_steps(model_type, steps, denoise)


@node("GITSScheduler", title="GITSScheduler", category=CATEGORY)
def gits_scheduler(
    coeff: Annotated[float, number(1.20, 0.80, 1.50, 0.05)],
    steps: Annotated[int, integer(10, 2, 1000)],
    denoise: Denoise,
) -> Sigmas:
    """Published levels for SD 1.x where the paths of samples bend most.

    The higher `coeff`, the more steps are at low levels.
    """
    return gits(coeff, steps, denoise)


@node("LTXVScheduler", title="LTXVScheduler", category=CATEGORY)
def ltxv_scheduler(
    steps: Steps,
    max_shift: Annotated[float, number(2.05, 0.0, 100.0)],
    base_shift: Shift,
    stretch: Annotated[bool, boolean(True)],
    terminal: Annotated[float, number(0.1, 0.0, 0.99)],
    latent: Latent | None = None,
) -> Sigmas:
    """The schedule of LTX-Video, which spends more steps on structure the larger the video is.

    The shift goes from `base_shift` for a small latent to `max_shift` for a large one; without a latent it is
    `max_shift`. `stretch` brings the last level above 0 to `terminal`.
    """
    tokens = LTXV_TOKENS if latent is None else math.prod(latent["samples"].shape[2:])
    return ltxv_sigmas(steps, tokens, max_shift, base_shift, terminal if stretch else None)
