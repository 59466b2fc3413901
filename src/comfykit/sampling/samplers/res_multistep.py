"""RES (arXiv 2308.02157): a second-order exponential integrator that reuses the last step's prediction.

In t = -log(sigma), with h the step, phi1(z) = (e^z - 1) / z and phi2(z) = (phi1(z) - 1) / z:

    x' = e^(-h) x + h (b1 D + b2 D_last),   b2 = phi2(-h) / c2,   b1 = phi1(-h) - b2

where c2 says how far back D_last was made, in steps.
"""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor

from comfykit.sampling.denoiser import Denoiser, StepCallback, StepInfo
from comfykit.sampling.noise import StepNoise
from comfykit.sampling.samplers.steps import (
    Predictions,
    ancestral_levels,
    both_at,
    guided_at,
    log_snr,
    slope,
)


def res_multistep(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    eta: float = 0.0,
    s_noise: float = 1.0,
) -> Tensor:
    """One evaluation a step; Euler in the first step and to 0. With `eta` it is ancestral."""
    return _multistep(guided_at, denoiser, x, sigmas, noise, callback, eta, s_noise)


def res_multistep_cfg_pp(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    eta: float = 0.0,
    s_noise: float = 1.0,
) -> Tensor:
    """`res_multistep` on the unconditional predictions, from x + D - U (arXiv 2406.08070)."""
    return _multistep(both_at, denoiser, x, sigmas, noise, callback, eta, s_noise)


def _multistep(
    predictions: Predictions,
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    noise: StepNoise,
    callback: StepCallback,
    eta: float,
    s_noise: float,
) -> Tensor:
    levels = sigmas.tolist()
    last: tuple[Tensor, float, float] | None = None  # prediction, the level it was made at, the level below
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, (denoised, followed) = x, predictions(denoiser, x, sigma)
        down, up = ancestral_levels(sigma, sigma_next, eta)
        if last is None or down == 0:
            x = denoised + slope(x, followed, sigma) * down
        else:
            followed_last, sigma_last, down_last = last
            h = log_snr(down) - log_snr(sigma)
            c2 = (log_snr(sigma_last) - log_snr(down_last)) / h
            b1, b2 = weights(h, c2)
            x = (x + (denoised - followed)) * math.exp(-h) + (followed * b1 + followed_last * b2) * h
        if up > 0:
            x = x + noise(sigma, sigma_next) * (s_noise * up)
        last = followed, sigma, down
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x


def weights(h: float, c2: float) -> tuple[float, float]:
    """b1 and b2 of a step h, with the other prediction at the part c2 of it (before it: negative)."""
    phi1 = math.expm1(-h) / -h
    b2 = (phi1 - 1) / -h / c2
    return phi1 - b2, b2
