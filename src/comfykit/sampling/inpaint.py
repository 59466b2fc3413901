"""Sampling under a mask: what lies outside it follows a latent that is known."""

from __future__ import annotations

import torch
from torch import Tensor

from comfykit.sampling.denoiser import Denoiser
from comfykit.sampling.noise import SEEDS
from comfykit.sampling.parametrization import Parametrization


class MaskedDenoiser:
    """A `Denoiser` for which x0 is known outside a mask.

    Before each call x outside is replaced by the known latent under the run's noise at that level, after it
    the prediction outside by the latent. `mask` is [batch, 1, ...] from 0 (known) to 1 (free); values
    between mix both.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        mask: Tensor,
        latent: Tensor,
        noise: Tensor,
        parametrization: Parametrization,
    ) -> None:
        self._denoiser = denoiser
        self._mask, self._outside = mask, 1 - mask
        self._latent, self._noise = latent, noise
        self._known = latent * self._outside
        self._parametrization = parametrization

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The prediction of x0, the latent itself where the mask is 0."""
        noised = self._parametrization.noise_latent(sigma, self._noise, self._latent, max_denoise=False)
        denoised = self._denoiser(x * self._mask + noised * self._outside, sigma)
        return denoised * self._mask + self._known


def fresh_noise(noise: Tensor, seed: int) -> Tensor:
    """Noise for the latent outside a mask that is not the noise the run began with: drawn from seed + 1.

    ddim uses it. Like the initial noise it is drawn on the CPU, from the global generator.
    """
    generator = torch.manual_seed((seed + 1) % SEEDS)
    return torch.randn(noise.shape, generator=generator).to(noise)
