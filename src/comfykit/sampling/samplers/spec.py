"""What a sampler is, and what a run must know about one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypeAlias

from torch import Tensor

from comfykit.sampling.denoiser import Denoiser, StepCallback
from comfykit.sampling.noise import NoiseSource, StepNoise, no_noise
from comfykit.sampling.noise_levels import NoiseLevels


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


ModelOptions: TypeAlias = Callable[[NoiseLevels], Mapping[str, Any]]
"""Options of a sampler that follow from the noise levels of the model it runs with."""


@dataclass(frozen=True, slots=True)
class SamplerSpec:
    """A sampler with what it needs.

    `fresh_mask_noise`: masked latents are noised with a draw from seed + 1 in place of the run's noise.
    `needs_negative`: it asks the denoiser for `both` sides of guidance, at any strength.
    `model_options`: what it must know about the model; see `for_model`.
    `host`: samples in the engine's place, for samplers that are foreign code.
    """

    run: Sampler
    noise: NoiseSource = no_noise
    fresh_mask_noise: bool = False
    needs_negative: bool = False
    model_options: ModelOptions | None = None
    host: Callable[..., Any] | None = None

    def with_options(self, **options: Any) -> SamplerSpec:
        """The same sampler with other values for the options that its function has, such as `eta=0.5`."""
        return replace(self, run=partial(self.run, **options))

    def for_model(self, levels: NoiseLevels) -> SamplerSpec:
        """The same sampler with the options that follow from a model's levels."""
        return self if self.model_options is None else self.with_options(**self.model_options(levels))
