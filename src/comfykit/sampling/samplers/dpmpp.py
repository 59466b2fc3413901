"""DPM-Solver++ (arXiv 2211.01095): exponential integrators for the prediction of x0.

With lam = -log(sigma) and h the step in lam, a step that takes x0 as constant is

    x' = (sigma' / sigma) e^(-eta h) x + (1 - e^(-h - eta h)) D + noise * sigma' sqrt(1 - e^(-2 eta h))

exact for the ODE at eta 0 and for the reverse SDE at eta 1. The solvers differ in how they better D.
"""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor

from comfykit.sampling.denoiser import Denoiser, StepCallback, StepInfo
from comfykit.sampling.noise import StepNoise
from comfykit.sampling.samplers.steps import ancestral_levels, denoise_at, level_between, log_snr


def dpmpp_2m(
    denoiser: Denoiser, x: Tensor, sigmas: Tensor, *, noise: StepNoise, callback: StepCallback
) -> Tensor:
    """Multistep, second order, one evaluation a step (algorithm 2); a step to 0 takes x0 itself."""
    levels = sigmas.tolist()
    last: tuple[Tensor, float] | None = None
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, denoised = x, denoise_at(denoiser, x, sigma)
        if sigma_next == 0:
            x = denoised
        else:
            h = log_snr(sigma_next) - log_snr(sigma)
            x = _to_level(x, _extrapolated(denoised, h, last), sigma, sigma_next)
            last = denoised, h
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x


def dpmpp_2m_sde(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """`dpmpp_2m` for the reverse SDE, with the midpoint rule; one evaluation a step."""
    levels = sigmas.tolist()
    last: tuple[Tensor, float] | None = None
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, denoised = x, denoise_at(denoiser, x, sigma)
        if sigma_next == 0:
            x = denoised
        else:
            h = log_snr(sigma_next) - log_snr(sigma)
            keep = sigma_next / sigma * math.exp(-eta * h)
            x = keep * x - math.expm1(-h - eta * h) * _extrapolated(denoised, h, last)
            if eta:
                up = sigma_next * math.sqrt(-math.expm1(-2 * eta * h))
                x = x + noise(sigma, sigma_next) * (s_noise * up)
            last = denoised, h
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x


def dpmpp_sde(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    eta: float = 1.0,
    s_noise: float = 1.0,
    r: float = 0.5,
) -> Tensor:
    """Single step, second order, two evaluations a step: the second at the part r of the step in lam."""
    levels = sigmas.tolist()
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, denoised = x, denoise_at(denoiser, x, sigma)
        if sigma_next == 0:
            x = denoised
        else:
            inner = level_between(sigma, sigma_next, r)
            down, up = ancestral_levels(sigma, inner, eta)
            x_inner = _to_level(x, denoised, sigma, down) + noise(sigma, inner) * (s_noise * up)
            denoised_inner = denoise_at(denoiser, x_inner, inner)

            down, up = ancestral_levels(sigma, sigma_next, eta)
            mean = denoised.lerp(denoised_inner, 1 / (2 * r))
            x = _to_level(x, mean, sigma, down) + noise(sigma, sigma_next) * (s_noise * up)
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x


def _to_level(x: Tensor, denoised: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """The exact solution of the ODE with a constant x0 (equation 4.1 at first order)."""
    return denoised.lerp(x, sigma_next / sigma)


def _extrapolated(denoised: Tensor, h: float, last: tuple[Tensor, float] | None) -> Tensor:
    """The prediction at the middle of the step, on a line through this one and the last."""
    if last is None:
        return denoised
    denoised_last, h_last = last
    return denoised.lerp(denoised_last, -h / (2 * h_last))
