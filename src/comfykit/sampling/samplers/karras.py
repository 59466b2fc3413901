"""Second-order one-step methods: Heun's, and the midpoint rule in log-sigma."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from comfykit.sampling.denoiser import Denoiser, StepCallback, StepInfo
from comfykit.sampling.noise import StepNoise
from comfykit.sampling.samplers.steps import ancestral_levels, denoise_at, geometric_mean, slope


def heun(
    denoiser: Denoiser, x: Tensor, sigmas: Tensor, *, noise: StepNoise, callback: StepCallback
) -> Tensor:
    """The mean of the slopes at both ends of a step (arXiv 2206.00364, algorithm 1); Euler to 0."""
    levels = sigmas.tolist()
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, denoised = x, denoise_at(denoiser, x, sigma)
        d = slope(x, denoised, sigma)
        x = before + d * (sigma_next - sigma)
        if sigma_next > 0:
            d_end = slope(x, denoise_at(denoiser, x, sigma_next), sigma_next)
            x = before + (d + d_end) * ((sigma_next - sigma) / 2)
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x


def dpm_2(
    denoiser: Denoiser, x: Tensor, sigmas: Tensor, *, noise: StepNoise, callback: StepCallback
) -> Tensor:
    """The slope at the step's middle in log-sigma (k-diffusion, after DPM-Solver-2, arXiv 2206.00927)."""
    levels = sigmas.tolist()
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, denoised = x, denoise_at(denoiser, x, sigma)
        x = _midpoint_step(denoiser, x, denoised, sigma, sigma_next)
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x


def dpm_2_ancestral(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """`dpm_2` to below the next level, and fresh noise up to it."""
    levels = sigmas.tolist()
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, denoised = x, denoise_at(denoiser, x, sigma)
        down, up = ancestral_levels(sigma, sigma_next, eta)
        x = _midpoint_step(denoiser, x, denoised, sigma, down)
        if sigma_next > 0:
            x = x + noise(sigma, sigma_next) * (s_noise * up)
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x


def _midpoint_step(
    denoiser: Denoiser, x: Tensor, denoised: Tensor, sigma: float, sigma_next: float
) -> Tensor:
    """From sigma to sigma_next along the slope between them; a step to 0 takes x0 itself."""
    if sigma_next == 0:
        return denoised
    middle = geometric_mean(sigma, sigma_next)
    x_middle = x + slope(x, denoised, sigma) * (middle - sigma)
    d_middle = slope(x_middle, denoise_at(denoiser, x_middle, middle), middle)
    return x + d_middle * (sigma_next - sigma)
