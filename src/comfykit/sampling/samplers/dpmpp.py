"""DPM-Solver++ (arXiv 2211.01095): exponential integrators for the prediction of x0.

With lam = -log(sigma) and h the step in lam, a step of the ODE that takes x0 as constant is

    x' = e^(-h) x + (1 - e^(-h)) D

and the solvers differ in how they better D. Those of the reverse SDE are in `dpmpp_sde.py`.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from comfykit.sampling.denoiser import Denoiser, StepCallback, StepInfo
from comfykit.sampling.noise import StepNoise
from comfykit.sampling.samplers.steps import ancestral_levels, denoise_at, geometric_mean, log_snr


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
            x = to_level(x, extrapolated(denoised, h, last), sigma, sigma_next)
            last = denoised, h
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x


def dpmpp_2s_ancestral(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """Single step, second order (algorithm 1), to below the next level, and fresh noise up to it.

    Two evaluations a step, the second half way in lam; a step to 0 takes x0 itself.
    """
    levels = sigmas.tolist()
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, denoised = x, denoise_at(denoiser, x, sigma)
        down, up = ancestral_levels(sigma, sigma_next, eta)
        if down == 0:
            x = denoised
        else:
            middle = geometric_mean(sigma, down)
            x_middle = to_level(x, denoised, sigma, middle)
            x = to_level(x, denoise_at(denoiser, x_middle, middle), sigma, down)
        if up > 0:
            x = x + noise(sigma, sigma_next) * (s_noise * up)
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x


def to_level(x: Tensor, denoised: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """The exact solution of the ODE with a constant x0 (equation 4.1 at first order)."""
    return denoised.lerp(x, sigma_next / sigma)


def extrapolated(denoised: Tensor, h: float, last: tuple[Tensor, float] | None) -> Tensor:
    """The prediction at the middle of the step, on a line through this one and the last."""
    if last is None:
        return denoised
    denoised_last, h_last = last
    return denoised.lerp(denoised_last, -h / (2 * h_last))
