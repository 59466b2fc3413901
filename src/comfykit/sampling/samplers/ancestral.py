"""Sampling from the forward process's own distributions: its posterior (DDPM), or its noise anew (LCM)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from comfykit.sampling.denoiser import Denoiser, StepCallback, StepInfo
from comfykit.sampling.noise import StepNoise
from comfykit.sampling.samplers.steps import denoise_at


def ddpm(
    denoiser: Denoiser, x: Tensor, sigmas: Tensor, *, noise: StepNoise, callback: StepCallback
) -> Tensor:
    """A draw from q(x' | x, x0) with the predicted x0 (arXiv 2006.11239, equations 6 and 7).

    The paper's abar is 1 / (1 + sigma^2) and its x is this one times sqrt(abar); in x's scale here the mean
    is x0 + (sigma' / sigma)^2 (x - x0) and the variance sigma'^2 (1 - sigma'^2 / sigma^2).
    """
    levels = sigmas.tolist()
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, denoised = x, denoise_at(denoiser, x, sigma)
        ratio = (sigma_next / sigma) ** 2
        x = denoised.lerp(x, ratio)
        if sigma_next > 0:
            x = x + noise(sigma, sigma_next) * (sigma_next * (1 - ratio) ** 0.5)
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x


def lcm(denoiser: Denoiser, x: Tensor, sigmas: Tensor, *, noise: StepNoise, callback: StepCallback) -> Tensor:
    """The prediction of x0 under fresh noise, for consistency models (arXiv 2310.04378, algorithm 3)."""
    levels = sigmas.tolist()
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, denoised = x, denoise_at(denoiser, x, sigma)
        x = denoised
        if sigma_next > 0:
            x = x + noise(sigma, sigma_next) * sigma_next
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x
