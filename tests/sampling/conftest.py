"""A problem whose solution is known: data that is normal with variance `variance` in each value.

The best prediction of x0 is D(x, s) = x variance / (variance + s^2), the probability flow ODE keeps
x(s) proportional to sqrt(variance + s^2), and at every level x itself has the variance variance + s^2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from comfykit.sampling.denoiser import ignore_step
from comfykit.sampling.noise import NoiseSource, no_noise
from comfykit.sampling.noise_levels import DiscreteNoiseLevels, scaled_linear_levels


@dataclass(frozen=True)
class Gaussian:
    variance: float = 0.5
    first: float = 10.0
    last: float = 0.1

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        s = sigma.to(x.dtype).reshape(-1, 1, 1, 1)
        return x * self.variance / (self.variance + s**2)

    def both(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Both sides of guidance that does nothing."""
        denoised = self(x, sigma)
        return denoised, denoised

    def sigmas(self, steps: int) -> Tensor:
        """Levels from first to last, evenly spaced in sigma^(1/3), so that refining them is smooth."""
        return (
            torch.linspace(self.first ** (1 / 3), self.last ** (1 / 3), steps + 1, dtype=torch.float64) ** 3
        )

    def error(self, sampler: Callable[..., Tensor], steps: int) -> float:
        """Relative error of a sampler of the ODE."""
        x = torch.ones(1, 1, 1, 1, dtype=torch.float64)
        sigmas = self.sigmas(steps)
        noise = no_noise(x, sigmas, 0)
        found = float(sampler(self, x, sigmas, noise=noise, callback=ignore_step))
        exact = math.sqrt((self.variance + self.last**2) / (self.variance + self.first**2))
        return abs(found / exact - 1)

    def order(self, sampler: Callable[..., Tensor], steps: int) -> float:
        """How many halvings of the error one halving of the steps' width brings."""
        return math.log2(self.error(sampler, steps) / self.error(sampler, 2 * steps))

    def variance_of(self, sampler: Callable[..., Tensor], source: NoiseSource, steps: int) -> float:
        """Variance that an SDE sampler leaves, divided by the right one; of 40,000 values, seeds fixed."""
        generator = torch.Generator().manual_seed(1)
        shape = (1, 1, 200, 200)
        x = torch.randn(shape, generator=generator) * math.sqrt(self.variance + self.first**2)
        sigmas = self.sigmas(steps).float()
        found = sampler(self, x, sigmas, noise=source(x, sigmas, 2), callback=ignore_step)
        return float(found.var()) / (self.variance + self.last**2)


@pytest.fixture
def gaussian() -> Gaussian:
    return Gaussian()


@pytest.fixture(scope="session")
def levels() -> DiscreteNoiseLevels:
    return scaled_linear_levels()
