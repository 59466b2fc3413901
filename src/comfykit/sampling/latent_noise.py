"""NOISE: what a run begins with, as a value that travels along links.

Custom nodes bring their own and call others by the names used here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from comfykit.sampling.noise import initial_noise


class Noise(Protocol):
    """Noise for a LATENT {"samples": tensor, "batch_index"?: list}; `seed` is that of the samplers."""

    @property
    def seed(self) -> int:
        """The seed of the noise that samplers add."""
        ...

    def generate_noise(self, input_latent: dict[str, Any]) -> Tensor:
        """Noise in the shape of the latent's samples, on the CPU."""
        ...


@dataclass(frozen=True, slots=True)
class RandomNoise:
    """Normal noise drawn from a seed."""

    seed: int

    def generate_noise(self, input_latent: dict[str, Any]) -> Tensor:
        """See `initial_noise`."""
        return initial_noise(input_latent["samples"], self.seed, input_latent.get("batch_index"))


@dataclass(frozen=True, slots=True)
class NoNoise:
    """None at all: the latent is noised already."""

    seed: int = 0

    def generate_noise(self, input_latent: dict[str, Any]) -> Tensor:
        """Zeros."""
        return torch.zeros_like(input_latent["samples"], device="cpu")
