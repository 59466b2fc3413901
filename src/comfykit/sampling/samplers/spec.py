"""What a sampler is, and what a run must know about one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from torch import Tensor

from comfykit.sampling.denoiser import Denoiser, StepCallback
from comfykit.sampling.noise import NoiseSource, StepNoise, no_noise


class Sampler(Protocol):
    """Takes x from the first noise level to the last."""

    def __call__(
        self, denoiser: Denoiser, x: Tensor, sigmas: Tensor, /, *, noise: StepNoise, callback: StepCallback
    ) -> Tensor:
        """The state at sigmas[-1].

        `x` [batch, channels, ...] is the state at sigmas[0], `sigmas` float32 [steps + 1] on the CPU,
        falling; `noise` is asked by those that add noise, in the order of the steps.
        """
        ...


@dataclass(frozen=True, slots=True)
class SamplerSpec:
    """A sampler with the noise it needs.

    `fresh_mask_noise`: masked latents are noised with a draw from seed + 1 in place of the run's noise.
    """

    run: Sampler
    noise: NoiseSource = no_noise
    fresh_mask_noise: bool = False

    def with_options(self, **options: Any) -> SamplerSpec:
        """The same sampler with other values for the options that its function has, such as `eta=0.5`."""
        return replace(self, run=partial(self.run, **options))
