"""Heun++: a weighted mean of the slopes at the next two or three levels."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from comfykit.sampling.denoiser import Denoiser, StepCallback, StepInfo
from comfykit.sampling.noise import StepNoise
from comfykit.sampling.samplers.steps import denoise_at, slope


def heunpp2(
    denoiser: Denoiser, x: Tensor, sigmas: Tensor, *, noise: StepNoise, callback: StepCallback
) -> Tensor:
    """Up to three evaluations a step, two in the second last, one in the last.

    A slope further on is found by Euler steps and weighs as its level is to the first, so that a step at
    low levels is nearly Euler's.
    """
    levels = sigmas.tolist()
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, denoised = x, denoise_at(denoiser, x, sigma)
        ahead = levels[i : i + 4]
        slopes = [slope(x, denoised, sigma)]
        x_ahead = x
        for level, level_next in pairwise(ahead[:-1]):
            x_ahead = x_ahead + slopes[-1] * (level_next - level)
            slopes.append(slope(x_ahead, denoise_at(denoiser, x_ahead, level_next), level_next))
        weights = [level / (len(slopes) * levels[0]) for level in ahead[1 : len(slopes)]]
        mean = slopes[0] * (1 - sum(weights))
        for weight, d in zip(weights, slopes[1:], strict=True):
            mean = mean + d * weight
        x = x + mean * (sigma_next - sigma)
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x
