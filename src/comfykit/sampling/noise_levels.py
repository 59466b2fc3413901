"""The noise levels a model was trained on, and the network's name for each: its timestep."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

ABOVE_ALL = 1e9
"""A sigma that no schedule reaches: `percent_to_sigma` of the very beginning."""

LAST_ABAR = 4.8973451890853435e-08
"""What stands for an abar of 0, where sigma would be infinite."""


class NoiseLevels(Protocol):
    """What schedules and conditioning ranges need to know about a model."""

    @property
    def sigmas(self) -> Tensor:
        """The ascending table, float32 [levels] on the CPU."""
        ...

    @property
    def sigma_min(self) -> float:
        """The smallest level."""
        ...

    @property
    def sigma_max(self) -> float:
        """The largest level."""
        ...

    def timestep(self, sigma: Tensor) -> Tensor:
        """The network's time input for each sigma, on sigma's device and in its shape."""
        ...

    def sigma(self, timestep: Tensor) -> Tensor:
        """The noise level at each (fractional) timestep; the inverse of `timestep`."""
        ...

    def percent_to_sigma(self, percent: float) -> float:
        """The noise level after that part of the way (0 to 1) from noise to picture."""
        ...


@dataclass(frozen=True, eq=False)
class DiscreteNoiseLevels:
    """Levels of a model trained on a list of noise levels; its timestep is an index into that list.

    `sigmas` and their logarithms are float32 [levels] on the CPU, ascending. Each is rounded from double
    precision by itself: schedules ask for levels half way between two, where the last bit of the
    logarithm decides which of them is nearest.
    """

    sigmas: Tensor
    log_sigmas: Tensor
    _on_device: dict[torch.device, Tensor] = field(init=False, repr=False, default_factory=dict)

    @classmethod
    def from_betas(cls, betas: Tensor, zero_terminal_snr: bool = False) -> DiscreteNoiseLevels:
        """Levels of the diffusion process with these variances (arXiv 2006.11239).

        `betas` is float64 [levels]; abar is the running product of 1 - beta, and
        sigma = sqrt((1 - abar) / abar).
        """
        abar = torch.cumprod(1 - betas, dim=0)
        if zero_terminal_snr:
            abar = _stretched(abar)
        sigmas = ((1 - abar) / abar).sqrt()
        return cls(sigmas.float(), sigmas.log().float())

    @cached_property
    def sigma_min(self) -> float:
        """The smallest level."""
        return float(self.sigmas[0])

    @cached_property
    def sigma_max(self) -> float:
        """The largest level."""
        return float(self.sigmas[-1])

    def timestep(self, sigma: Tensor) -> Tensor:
        """Index of the level whose logarithm is nearest; int64."""
        distance = sigma.float().log().unsqueeze(-1) - self._logs_on(sigma.device)
        return distance.abs().argmin(dim=-1)

    def sigma(self, timestep: Tensor) -> Tensor:
        """Level at a fractional index, linear in log-sigma; indices beyond the table take its ends."""
        logs = self._logs_on(timestep.device)
        t = timestep.float().clamp(0, len(logs) - 1)
        part = t.frac()
        # Not torch.lerp, whose last bit differs (see the class).
        return ((1 - part) * logs[t.floor().long()] + part * logs[t.ceil().long()]).exp()

    def percent_to_sigma(self, percent: float) -> float:
        """Level after a part of the timesteps; `ABOVE_ALL` at 0 and before, 0 at 1 and after."""
        if percent <= 0:
            return ABOVE_ALL
        if percent >= 1:
            return 0.0
        return float(self.sigma(torch.tensor((len(self.sigmas) - 1) * (1 - percent))))

    def _logs_on(self, device: torch.device) -> Tensor:
        """The table of log-sigmas on a device, copied there once."""
        if device not in self._on_device:
            self._on_device[device] = self.log_sigmas.to(device)
        return self._on_device[device]


def scaled_linear_levels(
    steps: int = 1000, start: float = 0.00085, end: float = 0.012, zero_terminal_snr: bool = False
) -> DiscreteNoiseLevels:
    """Levels of latent diffusion (arXiv 2112.10752): betas whose square roots are evenly spaced."""
    roots = torch.linspace(math.sqrt(start), math.sqrt(end), steps, dtype=torch.float64)
    return DiscreteNoiseLevels.from_betas(roots**2, zero_terminal_snr)


def _stretched(abar: Tensor) -> Tensor:
    """Abar with nothing left of the picture at the last level (arXiv 2305.08891, algorithm 1).

    sqrt(abar) is shifted to 0 at the last level and scaled so that the first one stays.
    """
    roots = abar.sqrt()
    stretched = ((roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])) ** 2
    stretched[-1] = LAST_ABAR
    return stretched
