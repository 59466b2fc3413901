"""Linear multistep: Adams-Bashforth in sigma with the schedule's own, uneven steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from torch import Tensor

from comfykit.sampling.denoiser import Denoiser, StepCallback, StepInfo
from comfykit.sampling.noise import StepNoise
from comfykit.sampling.samplers.steps import denoise_at, slope


def lms(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    order: int = 4,
) -> Tensor:
    """Order 4, one evaluation a step: the slopes of the last steps as a polynomial, integrated."""
    levels = sigmas.tolist()
    slopes: deque[Tensor] = deque(maxlen=order)  # newest first, as the levels in `weights`
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, denoised = x, denoise_at(denoiser, x, sigma)
        slopes.appendleft(slope(x, denoised, sigma))
        known = levels[i::-1][: len(slopes)]
        for weight, d in zip(multistep_weights(known, sigma_next), slopes, strict=True):
            x = x + d * weight
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x


def multistep_weights(known: Sequence[float], end: float) -> list[float]:
    """Weight of each known slope in the integral from known[0] to `end`.

    Each weight is the integral of the Lagrange polynomial that is 1 at its own level and 0 at the others.
    """
    return [_integral(known, j, end) for j in range(len(known))]


def _integral(known: Sequence[float], j: int, end: float) -> float:
    """By Gauss-Legendre quadrature, which is exact for a polynomial of degree below 2 len(known)."""
    points, weights = np.polynomial.legendre.leggauss(len(known))
    half = (end - known[0]) / 2
    tau = known[0] + half * (points + 1)
    others = [level for k, level in enumerate(known) if k != j]
    values = np.prod([(tau - level) / (known[j] - level) for level in others], axis=0)
    return float(half * np.sum(weights * values))
