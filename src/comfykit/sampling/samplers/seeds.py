"""SEEDS (arXiv 2305.14267): exponential integrators for the reverse SDE with several evaluations a step.

In lam = -log(sigma), with h the step and D the prediction of x0, x at the part r of the step is

    sigma_r / sigma e^(-r h eta) x + (1 - e^(-r h (1 + eta))) D + sigma_r * s_noise * Z_r

Z is one path of noise: what it was at an earlier part decays and fresh noise completes its variance to
1 - e^(-2 r h eta), so that the evaluations inside a step see the noise that its end keeps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from comfykit.sampling.denoiser import Denoiser, StepCallback, StepInfo
from comfykit.sampling.noise import StepNoise
from comfykit.sampling.samplers.steps import denoise_at, log_snr


def seeds_2(
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
    """Two evaluations a step, the second at the part r of it; a step to 0 takes x0 itself."""
    levels = sigmas.tolist()
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, denoised = x, denoise_at(denoiser, x, sigma)
        if sigma_next == 0:
            x = denoised
        else:
            step = _Step(x, sigma, log_snr(sigma_next) - log_snr(sigma), eta, s_noise, noise)
            denoised_r = denoise_at(denoiser, step.at(r, denoised), step.level(r))
            x = step.at(1.0, denoised.lerp(denoised_r, 1 / (2 * r)))
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x


def seeds_3(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    eta: float = 1.0,
    s_noise: float = 1.0,
    r_1: float = 1 / 3,
    r_2: float = 2 / 3,
) -> Tensor:
    """Three evaluations a step, the later two at its parts r_1 and r_2; a step to 0 takes x0 itself."""
    levels = sigmas.tolist()
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, denoised = x, denoise_at(denoiser, x, sigma)
        if sigma_next == 0:
            x = denoised
        else:
            step = _Step(x, sigma, log_snr(sigma_next) - log_snr(sigma), eta, s_noise, noise)
            change = denoise_at(denoiser, step.at(r_1, denoised), step.level(r_1)) - denoised
            x_2 = step.at(r_2, denoised, change * (1 / r_1))
            change = denoise_at(denoiser, x_2, step.level(r_2)) - denoised
            x = step.at(1.0, denoised, change * (1 / r_2))
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x


@dataclass(eq=False)
class _Step:
    """One step from x at sigma, h wide; ask for its parts in rising order, as Z goes on from the last."""

    x: Tensor
    sigma: float
    h: float
    eta: float
    s_noise: float
    noise: StepNoise
    _part: float = 0.0
    _path: Tensor | None = None

    def level(self, part: float) -> float:
        """The noise level at a part of the step."""
        return self.sigma * math.exp(-part * self.h)

    def at(self, part: float, denoised: Tensor, slope: Tensor | None = None) -> Tensor:
        """The state at a part of the step for a constant x0, or one with a slope (per whole step in lam)."""
        z = part * self.h * (1 + self.eta)
        x = self.x * math.exp(-z) - denoised * math.expm1(-z)
        if slope is not None:
            x = x + slope * (part * (math.expm1(-z) / z + 1))
        if self.eta > 0 and self.s_noise > 0:
            x = x + self._noise_to(part) * (self.s_noise * self.level(part))
        return x

    def _noise_to(self, part: float) -> Tensor:
        """Z at that part."""
        decay = math.exp(-(part - self._part) * self.h * self.eta)
        fresh = self.noise(self.level(self._part), self.level(part)) * math.sqrt(1 - decay**2)
        self._path = fresh if self._path is None else self._path * decay + fresh
        self._part = part
        return self._path
