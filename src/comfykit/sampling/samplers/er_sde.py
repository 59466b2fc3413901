"""Extended reverse-time SDE solvers (arXiv 2309.06169), in the variables where x = x0 + sigma * noise.

The noise of the SDE is chosen by a function f of the level: f(s) = s is the ODE, s^2 the reverse SDE, and the
paper's SDE_5 lies between. A step that takes x0 as constant is

    x' = r x + (1 - r) D + noise * sqrt(sigma'^2 - r^2 sigma^2),   r = f(sigma') / f(sigma)

and Taylor's series of D in sigma give the second and third order (algorithms 2 and 3 of the paper's
appendix, whose integrals are sums over equal intervals).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor

from comfykit.sampling.denoiser import Denoiser, StepCallback, StepInfo
from comfykit.sampling.noise import StepNoise
from comfykit.sampling.samplers.steps import denoise_at

NoiseScale: TypeAlias = Callable[[Tensor], Tensor]
"""f of the paper, for float64 levels."""

INTERVALS = 200


def sde_5(sigma: Tensor) -> Tensor:
    """The paper's choice among those it compares: sigma (e^(sigma^0.3) + 10)."""
    return sigma * ((sigma**0.3).exp() + 10)


def power_scale(eta: float) -> NoiseScale:
    """The reverse SDE with its noise scaled by eta: 1 as Song et al. have it, 0 the ODE."""
    return lambda sigma: sigma ** (1 + eta)


def er_sde(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    s_noise: float = 1.0,
    max_stage: int = 3,
    noise_scale: NoiseScale = sde_5,
) -> Tensor:
    """Order up to `max_stage` (1 to 3), lower in the first steps; a step to 0 takes x0 itself."""
    levels = sigmas.tolist()
    series = _Series()
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, denoised = x, denoise_at(denoiser, x, sigma)
        series = series.then(denoised, sigma)
        if sigma_next == 0:
            x = denoised
        else:
            step = _Step.between(sigma, sigma_next, noise_scale)
            x = denoised.lerp(x, step.r)
            for weight, derivative in zip(step.weights, series.derivatives[: max_stage - 1], strict=False):
                x = x + derivative * weight
            if step.up > 0 and s_noise > 0:
                x = x + noise(sigma, sigma_next) * (s_noise * step.up)
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x


@dataclass(frozen=True, slots=True, eq=False)
class _Series:
    """The newest prediction, and its derivatives by sigma as far as the earlier ones tell them."""

    denoised: Tensor | None = None
    levels: tuple[float, ...] = ()  # newest first
    derivatives: tuple[Tensor, ...] = ()

    def then(self, denoised: Tensor, sigma: float) -> _Series:
        levels = (sigma, *self.levels[:2])
        if self.denoised is None:
            return _Series(denoised, levels)
        first = (denoised - self.denoised) / (sigma - levels[1])
        if not self.derivatives:
            return _Series(denoised, levels, (first,))
        second = (first - self.derivatives[0]) * (2 / (sigma - levels[2]))
        return _Series(denoised, levels, (first, second))


@dataclass(frozen=True, slots=True)
class _Step:
    """Numbers of one step: r, the noise to add, the weights of the first and second derivative."""

    r: float
    up: float
    weights: tuple[float, float]

    @classmethod
    def between(cls, sigma: float, sigma_next: float, f: NoiseScale) -> _Step:
        width = sigma - sigma_next
        left = torch.arange(INTERVALS, dtype=torch.float64) / INTERVALS
        scale = f(torch.tensor([sigma, sigma_next], dtype=torch.float64)).tolist()
        between = sigma_next + left * width
        density = scale[1] / f(between) * (width / INTERVALS)
        r = scale[1] / scale[0]
        first = -width + float(density.sum())
        second = width**2 / 2 + float(((between - sigma) * density).sum())
        return cls(r, math.sqrt(max(sigma_next**2 - (r * sigma) ** 2, 0.0)), (first, second))
