"""Gradient estimation (arXiv 2306.04848): Euler along a slope that is extrapolated from the last two."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from comfykit.sampling.denoiser import Denoiser, StepCallback, StepInfo
from comfykit.sampling.noise import StepNoise
from comfykit.sampling.samplers.steps import Predictions, both_at, guided_at, slope


def gradient_estimation(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    gamma: float = 2.0,
) -> Tensor:
    """The slope gamma d + (1 - gamma) d_last (equation 13); the first step is Euler's, one to 0 takes x0."""
    return _euler(guided_at, denoiser, x, sigmas, callback, gamma)


def gradient_estimation_cfg_pp(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    gamma: float = 2.0,
) -> Tensor:
    """`gradient_estimation` from the guided prediction along unconditional slopes (arXiv 2406.08070)."""
    return _euler(both_at, denoiser, x, sigmas, callback, gamma)


def _euler(
    predictions: Predictions,
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    callback: StepCallback,
    gamma: float,
) -> Tensor:
    levels = sigmas.tolist()
    d_last: Tensor | None = None
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, (denoised, followed) = x, predictions(denoiser, x, sigma)
        d = slope(x, followed, sigma)
        x = denoised + d * sigma_next
        if d_last is not None and sigma_next > 0:
            x = x + (d - d_last) * ((gamma - 1) * (sigma_next - sigma))
        d_last = d
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x
