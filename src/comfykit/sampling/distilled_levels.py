"""Models that were distilled to few steps of a longer list of noise levels: latent consistency models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from comfykit.sampling.noise_levels import ABOVE_ALL, DiscreteNoiseLevels, NoiseLevels
from comfykit.sampling.parametrization import EpsPrediction, per_row

LCM_STEPS = 50
"""How many of the levels latent consistency models know (arXiv 2310.04378)."""

TIMESTEP_SCALING = 10.0
LCM_SIGMA_DATA = 0.5


@dataclass(frozen=True, eq=False)
class DistilledNoiseLevels:
    """Every so many-th of a model's levels, up to the last one; timesteps stay those of the whole list."""

    whole: DiscreteNoiseLevels
    steps: int = LCM_STEPS

    @cached_property
    def _kept(self) -> DiscreteNoiseLevels:
        places = torch.arange(self.steps) * self._stride + self._stride - 1
        return DiscreteNoiseLevels(self.whole.sigmas[places], self.whole.log_sigmas[places])

    @property
    def _stride(self) -> int:
        return len(self.whole.sigmas) // self.steps

    @property
    def sigmas(self) -> Tensor:
        """The levels that are kept, ascending."""
        return self._kept.sigmas

    @property
    def sigma_min(self) -> float:
        """The smallest level."""
        return self._kept.sigma_min

    @property
    def sigma_max(self) -> float:
        """The largest level."""
        return self._kept.sigma_max

    def timestep(self, sigma: Tensor) -> Tensor:
        """Timestep, in the whole list, of the nearest level that is kept; int64."""
        return self._kept.timestep(sigma) * self._stride + self._stride - 1

    def sigma(self, timestep: Tensor) -> Tensor:
        """Level at a timestep of the whole list, linear in log-sigma between those that are kept."""
        return self._kept.sigma((timestep.float() - (self._stride - 1)) / self._stride)

    def percent_to_sigma(self, percent: float) -> float:
        """Level after a part of the timesteps; `ABOVE_ALL` at 0 and before, 0 at 1 and after."""
        if percent <= 0:
            return ABOVE_ALL
        if percent >= 1:
            return 0.0
        return float(self.sigma(torch.tensor((len(self.whole.sigmas) - 1) * (1 - percent))))


@dataclass(frozen=True, slots=True)
class ConsistencyPrediction(EpsPrediction):
    """The network predicts the noise, and a skip connection makes the result x at timestep 0.

    D = c_skip x + c_out x0 with c_skip = d^2 / (t^2 + d^2) and c_out = t / sqrt(t^2 + d^2), where t is ten
    times the timestep and d the standard deviation 0.5 of the data (arXiv 2310.04378, appendix B).
    """

    levels: NoiseLevels

    def denoised(self, sigma: Tensor, output: Tensor, x: Tensor) -> Tensor:
        """The prediction of x0 of the consistency function."""
        # Not zero-argument super(), which does not work in a class with slots.
        x0 = EpsPrediction.denoised(self, sigma, output, x)
        t = per_row(self.levels.timestep(sigma).float() * TIMESTEP_SCALING, x)
        variance = t**2 + LCM_SIGMA_DATA**2
        return x * (LCM_SIGMA_DATA**2 / variance) + x0 * (t / variance.sqrt())
