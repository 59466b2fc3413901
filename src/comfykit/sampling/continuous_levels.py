"""Models that know every noise level between two: those of EDM, of continuous v, of rectified flow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from comfykit.sampling.noise_levels import ABOVE_ALL

TABLE = 1000
"""Levels in the table, even in log-sigma, that schedulers read which want a list."""


@dataclass(frozen=True, eq=False)
class ContinuousNoiseLevels:
    """Levels from `sigma_min` to `sigma_max`; the time that a network is told is 1/4 log sigma.

    That is the input of EDM's networks (arXiv 2206.00364, table 1). Both levels are above 0.
    """

    sigma_min: float
    sigma_max: float

    @cached_property
    def sigmas(self) -> Tensor:
        """The ascending table, even in log-sigma."""
        low, high = math.log(self.sigma_min), math.log(self.sigma_max)
        return torch.linspace(low, high, TABLE, dtype=torch.float64).exp().float()

    def timestep(self, sigma: Tensor) -> Tensor:
        """1/4 log sigma."""
        return sigma.log() / 4

    def sigma(self, timestep: Tensor) -> Tensor:
        """e^(4 t)."""
        return (timestep * 4).exp()

    def percent_to_sigma(self, percent: float) -> float:
        """Level after a part of the way in log-sigma; `ABOVE_ALL` at 0 and before, 0 at 1 and after."""
        if percent <= 0:
            return ABOVE_ALL
        if percent >= 1:
            return 0.0
        low, high = math.log(self.sigma_min), math.log(self.sigma_max)
        return math.exp(low + (high - low) * (1 - percent))


class AngularNoiseLevels(ContinuousNoiseLevels):
    """The time is 2/pi atan sigma, from 0 for none to 1 for pure noise (arXiv 2202.00512)."""

    def timestep(self, sigma: Tensor) -> Tensor:
        """2/pi atan sigma."""
        return sigma.atan() * (2 / math.pi)

    def sigma(self, timestep: Tensor) -> Tensor:
        """Tan(t pi / 2)."""
        return (timestep * (math.pi / 2)).tan()


class FlowTimeNoiseLevels(ContinuousNoiseLevels):
    """The time is that of a rectified flow, sigma / (1 + sigma) (NVIDIA Cosmos-Predict2)."""

    def timestep(self, sigma: Tensor) -> Tensor:
        """Sigma / (1 + sigma)."""
        return sigma / (1 + sigma)

    def sigma(self, timestep: Tensor) -> Tensor:
        """T / (1 - t)."""
        return timestep / (1 - timestep)
