"""Schedules between two levels, which need not be those of a model.

Each gives float32 [steps + 1] on the CPU, falling, with a final 0. Raises `UsageError` for levels that the
formula has no answer for.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from comfykit.errors import UsageError


def karras_sigmas(steps: int, sigma_max: float, sigma_min: float, rho: float = 7.0) -> Tensor:
    """Evenly spaced in sigma^(1 / rho) (arXiv 2206.00364, equation 5)."""
    if rho <= 0:
        raise UsageError(f"a Karras schedule needs a rho above 0, not {rho}", rho=rho)
    ramp = torch.linspace(0, 1, steps)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return then_zero((high + ramp * (low - high)) ** rho)


def exponential_sigmas(steps: int, sigma_max: float, sigma_min: float) -> Tensor:
    """Evenly spaced in log-sigma."""
    high, low = _logarithms(sigma_max, sigma_min)
    return then_zero(torch.linspace(high, low, steps).exp())


def polyexponential_sigmas(steps: int, sigma_max: float, sigma_min: float, rho: float = 1.0) -> Tensor:
    """A power of an even ramp in log-sigma: with `rho` above 1 more of the steps are at low levels."""
    high, low = _logarithms(sigma_max, sigma_min)
    return then_zero((torch.linspace(1, 0, steps) ** rho * (high - low) + low).exp())


def vp_sigmas(steps: int, beta_d: float = 19.9, beta_min: float = 0.1, eps_s: float = 1e-3) -> Tensor:
    """Even times, from 1 to `eps_s`, of the linear VP diffusion (arXiv 2206.00364, table 1)."""
    t = torch.linspace(1, eps_s, steps)
    return then_zero(torch.expm1(beta_d * t**2 / 2 + beta_min * t).sqrt())


def laplace_sigmas(
    steps: int, sigma_max: float, sigma_min: float, mu: float = 0.0, beta: float = 0.5
) -> Tensor:
    """Even quantiles of a Laplace distribution of log-sigma, kept between two levels (arXiv 2407.03297).

    Most levels are near e^mu; `beta` is how far they spread.
    """
    t = torch.linspace(0, 1, steps, dtype=torch.float64)
    quantiles = mu - beta * torch.sign(0.5 - t) * torch.log(1 - 2 * (0.5 - t).abs())
    if beta == 0:
        quantiles = torch.full_like(t, mu)
    return then_zero(quantiles.exp().clamp(min=sigma_min, max=sigma_max).float())


def ltxv_sigmas(
    steps: int, tokens: int, max_shift: float, base_shift: float, terminal: float | None
) -> Tensor:
    """Even times of a flow model, shifted more the more tokens a video has (Lightricks LTX-Video).

    A time t becomes 1 / (1 + e^-shift (1 / t - 1)), where the shift is a line through `base_shift` at
    1,024 tokens and `max_shift` at 4,096. With `terminal` the times are stretched so that the last one above
    0 is at that level.
    """
    few, many = 1024, 4096
    shift = base_shift + (max_shift - base_shift) * (tokens - few) / (many - few)
    t = torch.linspace(1, 0, steps + 1)[:-1]
    sigmas = 1 / (1 + math.exp(-shift) * (1 / t - 1))
    if terminal is not None and steps > 1:
        gone = 1 - sigmas
        sigmas = 1 - gone * ((1 - terminal) / gone[-1])
    return then_zero(sigmas)


def then_zero(sigmas: Tensor) -> Tensor:
    """Levels and a final 0."""
    return torch.cat([sigmas, sigmas.new_zeros(1)])


def _logarithms(sigma_max: float, sigma_min: float) -> tuple[float, float]:
    if sigma_min <= 0 or sigma_max <= 0:
        raise UsageError(
            f"a schedule that is even in log-sigma needs levels above 0, not {sigma_max} to {sigma_min}",
            sigma_max=sigma_max,
            sigma_min=sigma_min,
        )
    return math.log(sigma_max), math.log(sigma_min)
