"""CFG++ (arXiv 2406.08070): a step goes from the guided prediction D along the slope of the unconditional U.

    x' = D + sigma' (x - U) / sigma

(algorithm 2, in the variables of arXiv 2206.00364). In an exponential integrator this is the plain step from
x + D - U in place of x.
"""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor

from comfykit.sampling.denoiser import Denoiser, StepCallback, StepInfo
from comfykit.sampling.noise import StepNoise
from comfykit.sampling.samplers.steps import ancestral_levels, both_at, geometric_mean, log_snr, slope


def euler_cfg_pp(
    denoiser: Denoiser, x: Tensor, sigmas: Tensor, *, noise: StepNoise, callback: StepCallback
) -> Tensor:
    """`euler` with CFG++."""
    return euler_ancestral_cfg_pp(denoiser, x, sigmas, noise=noise, callback=callback, eta=0.0)


def euler_ancestral_cfg_pp(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """`euler_ancestral` with CFG++."""
    levels = sigmas.tolist()
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, (denoised, negative) = x, both_at(denoiser, x, sigma)
        down, up = ancestral_levels(sigma, sigma_next, eta)
        x = denoised + slope(x, negative, sigma) * down
        if up > 0:
            x = x + noise(sigma, sigma_next) * (s_noise * up)
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x


def dpmpp_2m_cfg_pp(
    denoiser: Denoiser, x: Tensor, sigmas: Tensor, *, noise: StepNoise, callback: StepCallback
) -> Tensor:
    """`dpmpp_2m` with CFG++; the last prediction that it extrapolates from is the unconditional one."""
    levels = sigmas.tolist()
    last: tuple[Tensor, float] | None = None
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, (denoised, negative) = x, both_at(denoiser, x, sigma)
        x = denoised + slope(x, negative, sigma) * sigma_next
        if sigma_next > 0:
            h = log_snr(sigma_next) - log_snr(sigma)
            if last is not None:
                negative_last, h_last = last
                x = x - (denoised - negative_last) * (math.expm1(-h) * h / (2 * h_last))
            last = negative, h
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x


def dpmpp_2s_ancestral_cfg_pp(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """`dpmpp_2s_ancestral` with CFG++; both parts of a step take the newest unconditional prediction."""
    levels = sigmas.tolist()
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, (denoised, negative) = x, both_at(denoiser, x, sigma)
        down, up = ancestral_levels(sigma, sigma_next, eta)
        if down == 0:
            x = denoised + slope(x, negative, sigma) * down
        else:
            middle = geometric_mean(sigma, down)
            x_middle = denoised.lerp(x + (denoised - negative), middle / sigma)
            denoised_middle, negative_middle = both_at(denoiser, x_middle, middle)
            x = denoised_middle.lerp(x + (denoised - negative_middle), down / sigma)
        if up > 0:
            x = x + noise(sigma, sigma_next) * (s_noise * up)
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x
