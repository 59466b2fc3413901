"""Sampling under a mask: what lies outside it follows a latent that is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from comfykit.sampling.denoiser import Denoiser, both_sides
from comfykit.sampling.noise import SEEDS
from comfykit.sampling.noise_levels import NoiseLevels
from comfykit.sampling.parametrization import Parametrization


class MaskRule(Protocol):
    """Says which mask counts at a level."""

    def __call__(self, sigma: Tensor, mask: Tensor, *, sigmas: Tensor, levels: NoiseLevels) -> Tensor:
        """The mask at sigma [batch], in a run through `sigmas` [steps + 1] with a model of these levels."""
        ...


class MaskedDenoiser:
    """A `Denoiser` for which x0 is known outside a mask.

    Before each call x outside is replaced by the known latent under the run's noise at that level, after it
    the prediction outside by the latent. `mask` is [batch, 1, ...] from 0 (known) to 1 (free); values
    between mix both. `rule` may make another mask of it at each level: (sigma [batch], mask) -> mask.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        mask: Tensor,
        latent: Tensor,
        noise: Tensor,
        parametrization: Parametrization,
        rule: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        self._denoiser = denoiser
        self._mask = mask
        self._latent, self._noise = latent, noise
        self._parametrization = parametrization
        self._rule = rule

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The prediction of x0, the latent itself where the mask is 0."""
        mask = self._mask_at(sigma)
        return self._keep(self._denoiser(self._blend(x, sigma, mask), sigma), mask)

    def both(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """The same, and the negative prediction as it is, of a denoiser that has two sides."""
        mask = self._mask_at(sigma)
        guided, negative = both_sides(self._denoiser)(self._blend(x, sigma, mask), sigma)
        return self._keep(guided, mask), negative

    def _mask_at(self, sigma: Tensor) -> Tensor:
        return self._mask if self._rule is None else self._rule(sigma, self._mask)

    def _blend(self, x: Tensor, sigma: Tensor, mask: Tensor) -> Tensor:
        known = self._parametrization.noise_latent(sigma, self._noise, self._latent, max_denoise=False)
        return x * mask + known * (1 - mask)

    def _keep(self, denoised: Tensor, mask: Tensor) -> Tensor:
        return denoised * mask + self._latent * (1 - mask)


def fresh_noise(noise: Tensor, seed: int) -> Tensor:
    """Noise for the latent outside a mask that is not the noise the run began with: drawn from seed + 1.

    ddim uses it. Like the initial noise it is drawn on the CPU, from the global generator.
    """
    generator = torch.manual_seed((seed + 1) % SEEDS)
    return torch.randn(noise.shape, generator=generator).to(noise)
