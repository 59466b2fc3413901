"""What the samplers have in common, in the notation of arXiv 2206.00364: d is the slope dx / dsigma."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from comfykit.errors import UsageError
from comfykit.sampling.denoiser import Denoiser, both_sides

Predictions: TypeAlias = Callable[[Denoiser, Tensor, float], tuple[Tensor, Tensor]]
"""The guided prediction of x0 for a batch at one noise level, and the one that a slope is taken from."""


def denoise_at(denoiser: Denoiser, x: Tensor, sigma: float) -> Tensor:
    """Prediction of x0 for a batch that is at one noise level."""
    return denoiser(x, _per_row(x, sigma))


def guided_at(denoiser: Denoiser, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """The guided prediction, for both purposes."""
    denoised = denoise_at(denoiser, x, sigma)
    return denoised, denoised


def both_at(denoiser: Denoiser, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """The guided prediction D and the unconditional one U, whose slope CFG++ follows (arXiv 2406.08070)."""
    return both_sides(denoiser)(x, _per_row(x, sigma))


def slope(x: Tensor, denoised: Tensor, sigma: float) -> Tensor:
    """Slope of the probability flow ODE at sigma (arXiv 2206.00364, equation 3)."""
    return (x - denoised) / sigma


def ancestral_levels(sigma: float, sigma_next: float, eta: float) -> tuple[float, float]:
    """The level to step down to, and the noise to add there to be at `sigma_next`.

    At eta 1 this is the posterior of the forward process (arXiv 2006.11239, equation 7), at 0 no noise.
    Raises `UsageError` for noise on the way to a higher level, where there is no such posterior.
    """
    if not eta:
        return sigma_next, 0.0
    if sigma_next > sigma:
        raise UsageError(
            f"a sampler that adds noise cannot go from the level {sigma:g} up to {sigma_next:g}",
            hint="for a schedule that was turned round take one that adds none, such as euler or dpmpp_2m",
        )
    variance = sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2
    up = min(sigma_next, eta * math.sqrt(variance))
    return math.sqrt(sigma_next**2 - up**2), up


def log_snr(sigma: float) -> float:
    """Half the logarithm of the signal-to-noise ratio, the time in which exponential integrators step."""
    return -math.log(sigma)


def level_between(sigma: float, sigma_next: float, r: float) -> float:
    """The level at the part r of a step in log-sigma, in single precision from the first logarithm on.

    A Brownian tree is asked for its noise at this level and tells levels apart that differ by 1e-6: a level
    that is rounded otherwise gives another picture than k-diffusion's.
    """
    t, t_next = (-torch.tensor(level, dtype=torch.float32).log() for level in (sigma, sigma_next))
    return float((-(t + (t_next - t) * r)).exp())


def geometric_mean(a: float, b: float) -> float:
    """The level half way between two in log-sigma."""
    return math.sqrt(a * b)


def _per_row(x: Tensor, sigma: float) -> Tensor:
    return torch.full((x.shape[0],), sigma, dtype=torch.float32, device=x.device)
