"""Euler's method for the probability flow ODE, and its ancestral form."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from comfykit.sampling.denoiser import Denoiser, StepCallback, StepInfo
from comfykit.sampling.noise import StepNoise
from comfykit.sampling.samplers.steps import ancestral_levels, denoise_at, slope


def euler(
    denoiser: Denoiser, x: Tensor, sigmas: Tensor, *, noise: StepNoise, callback: StepCallback
) -> Tensor:
    """First order, one evaluation a step (arXiv 2206.00364, algorithm 1 without its correction)."""
    levels = sigmas.tolist()
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        denoised = denoise_at(denoiser, x, sigma)
        before, x = x, x + slope(x, denoised, sigma) * (sigma_next - sigma)
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x


def euler_ancestral(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """Euler steps to below the next level, and fresh noise up to it; the step to 0 takes x0 itself."""
    levels = sigmas.tolist()
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, denoised = x, denoise_at(denoiser, x, sigma)
        if sigma_next == 0:
            x = denoised
        else:
            down, up = ancestral_levels(sigma, sigma_next, eta)
            x = x + slope(x, denoised, sigma) * (down - sigma)
            x = x + noise(sigma, sigma_next) * (s_noise * up)
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x
