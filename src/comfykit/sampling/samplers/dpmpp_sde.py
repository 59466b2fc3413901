"""DPM-Solver++ (arXiv 2211.01095) for the reverse SDE.

With lam = -log(sigma) and h the step in lam, a step that takes x0 as constant is

    x' = (sigma' / sigma) e^(-eta h) x + (1 - e^(-h - eta h)) D + noise * sigma' sqrt(1 - e^(-2 eta h))

exact for the ODE at eta 0 and for the reverse SDE at eta 1. The solvers differ in how they better D.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

from torch import Tensor

from comfykit.sampling.denoiser import Denoiser, StepCallback, StepInfo
from comfykit.sampling.noise import StepNoise
from comfykit.sampling.samplers.dpmpp import extrapolated, to_level
from comfykit.sampling.samplers.steps import ancestral_levels, denoise_at, level_between, log_snr

SolverType = Literal["midpoint", "heun"]


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
            x_inner = to_level(x, denoised, sigma, down) + noise(sigma, inner) * (s_noise * up)
            denoised_inner = denoise_at(denoiser, x_inner, inner)

            down, up = ancestral_levels(sigma, sigma_next, eta)
            mean = denoised.lerp(denoised_inner, 1 / (2 * r))
            x = to_level(x, mean, sigma, down) + noise(sigma, sigma_next) * (s_noise * up)
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
    solver_type: SolverType = "midpoint",
) -> Tensor:
    """Multistep, second order, one evaluation a step; a step to 0 takes x0 itself.

    `solver_type` is the rule for the integral of the line through this prediction and the last: its value at
    the middle of the step, or the exact integral.
    """
    levels = sigmas.tolist()
    last: tuple[Tensor, float] | None = None
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, denoised = x, denoise_at(denoiser, x, sigma)
        if sigma_next == 0:
            x = denoised
        else:
            h = log_snr(sigma_next) - log_snr(sigma)
            z = h * (1 + eta)
            if solver_type == "midpoint":
                x = _exact(x, extrapolated(denoised, h, last), z)
            else:
                x = _exact(x, denoised, z)
                if last is not None:
                    x = x + (denoised - last[0]) * (_phi_2(z) * h / last[1])
            x = x + _noise(noise, sigma, sigma_next, eta, s_noise)
            last = denoised, h
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x


def dpmpp_3m_sde(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """Multistep, third order, one evaluation a step; lower orders at first, a step to 0 takes x0 itself.

    The derivatives of x0 in lam come from divided differences of the last three predictions.
    """
    levels = sigmas.tolist()
    known: list[
        tuple[Tensor, float]
    ] = []  # (prediction, width of the step that it was made for), newest first
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, denoised = x, denoise_at(denoiser, x, sigma)
        if sigma_next == 0:
            x = denoised
        else:
            h = log_snr(sigma_next) - log_snr(sigma)
            z = h * (1 + eta)
            x = _exact(x, denoised, z)
            if len(known) == 1:
                x = x + (denoised - known[0][0]) * (_phi_2(z) * h / known[0][1])
            elif known:
                d1, d2 = _derivatives(denoised, known, h)
                x = x + d1 * _phi_2(z) - d2 * (_phi_2(z) / z - 0.5)
            x = x + _noise(noise, sigma, sigma_next, eta, s_noise)
            known = [(denoised, h), *known[:1]]
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x


def _derivatives(denoised: Tensor, known: list[tuple[Tensor, float]], h: float) -> tuple[Tensor, Tensor]:
    """First derivative and half the second of x0 at the step's beginning, per step of width h."""
    (denoised_1, h_1), (denoised_2, h_2) = known
    r_0, r_1 = h_1 / h, h_2 / h
    newer, older = (denoised - denoised_1) / r_0, (denoised_1 - denoised_2) / r_1
    half_second = (newer - older) / (r_0 + r_1)
    return newer + half_second * r_0, half_second


def _exact(x: Tensor, denoised: Tensor, z: float) -> Tensor:
    """The mean of the solution with a constant x0."""
    return denoised.lerp(x, math.exp(-z))


def _phi_2(z: float) -> float:
    """z phi_2(-z): the integral that a slope of x0 is multiplied with."""
    return math.expm1(-z) / z + 1


def _noise(noise: StepNoise, sigma: float, sigma_next: float, eta: float, s_noise: float) -> Tensor | float:
    if not eta:
        return 0.0
    up = sigma_next * math.sqrt(-math.expm1(-2 * eta * (log_snr(sigma_next) - log_snr(sigma))))
    return noise(sigma, sigma_next) * (s_noise * up)
