"""DEIS (arXiv 2204.13902): Adams-Bashforth whose polynomials are in the time of a VP diffusion."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from comfykit.sampling.denoiser import Denoiser, StepCallback, StepInfo
from comfykit.sampling.noise import StepNoise
from comfykit.sampling.samplers.steps import denoise_at, slope

POINTS = 10_000
"""Points of the sum that stands for an integral, as in the authors' tables ("tab")."""

EPSILON = 1e-3
SIGMA_MIN, SIGMA_MAX = 0.002, 80.0
"""The linear VP schedule (arXiv 2011.13456) is the one with these levels at the times EPSILON and 1."""

BETA_D = 2 * (math.log(SIGMA_MIN**2 + 1) / EPSILON - math.log(SIGMA_MAX**2 + 1)) / (EPSILON - 1)
BETA_MIN = math.log(SIGMA_MAX**2 + 1) - BETA_D / 2


def deis(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    order: int = 3,
) -> Tensor:
    """tAB-DEIS up to order 3, one evaluation a step; the first step is Euler's, a step to 0 takes x0."""
    levels = sigmas.tolist()
    slopes: deque[Tensor] = deque(maxlen=order)  # newest first, as the levels in `time_weights`
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, denoised = x, denoise_at(denoiser, x, sigma)
        slopes.appendleft(slope(x, denoised, sigma))
        if sigma_next == 0:
            x = denoised
        else:
            known = levels[i::-1][: len(slopes)]
            for weight, d in zip(time_weights(known, sigma_next), slopes, strict=True):
                x = x + d * weight
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x


def vp_time(sigma: float) -> float:
    """The time at which the VP schedule has that level: sigma^2 + 1 = e^(BETA_D t^2 / 2 + BETA_MIN t)."""
    return (math.sqrt(BETA_MIN**2 + 2 * BETA_D * math.log(sigma**2 + 1)) - BETA_MIN) / BETA_D


def time_weights(known: Sequence[float], end: float) -> list[float]:
    """Weight of each known slope in the integral of the slope over sigma from known[0] to `end`.

    The weight is the integral of (dsigma / dt) l(t) over the VP time t, where l is the Lagrange polynomial
    that is 1 at the time of its own level and 0 at the others'. With a single level it is the step itself.
    """
    if len(known) == 1:
        return [end - known[0]]
    times = [vp_time(level) for level in known]
    t = torch.linspace(times[0], vp_time(end), POINTS, dtype=torch.float64)
    growth = torch.expm1(BETA_D / 2 * t**2 + BETA_MIN * t)  # sigma^2
    speed = (growth + 1) * (BETA_D * t + BETA_MIN) / (2 * growth.sqrt())
    width = (vp_time(end) - times[0]) / POINTS
    return [float((speed * _lagrange(times, j, t)).sum()) * width for j in range(len(times))]


def _lagrange(times: Sequence[float], j: int, t: Tensor) -> Tensor:
    product = torch.ones_like(t)
    for k, time in enumerate(times):
        if k != j:
            product = product * (t - time) / (times[j] - time)
    return product
