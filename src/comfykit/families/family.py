"""What sets one model family apart from the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor

from comfykit.families.looks import UNKNOWN, Look
from comfykit.models.unet import UNetConfig
from comfykit.sampling.noise_levels import NoiseLevels
from comfykit.sampling.parametrization import Parametrization
from comfykit.text.encoders import PromptEncoder
from comfykit.weights.detect import TextPart, UNetPart


@dataclass(frozen=True, slots=True)
class LatentFormat:
    """How the latents of a VAE are brought to about unit variance for the diffusion model.

    `scale` is 1 / standard deviation, `shift` the mean, one for all channels or one for each; `cell` is the
    side of the square of pixels that one place stands for; `look` is how to show them without the VAE.
    """

    channels: int
    scale: float | tuple[float, ...]
    shift: float | tuple[float, ...] = 0.0
    cell: int = 8
    look: Look = UNKNOWN

    def to_model(self, latent: Tensor) -> Tensor:
        """From the VAE's scale to the model's."""
        return (latent - _per_channel(self.shift, latent)) * _per_channel(self.scale, latent)

    def from_model(self, latent: Tensor) -> Tensor:
        """From the model's scale to the VAE's."""
        return latent / _per_channel(self.scale, latent) + _per_channel(self.shift, latent)


def _per_channel(value: float | tuple[float, ...], latent: Tensor) -> float | Tensor:
    """A value shaped so that it meets the channels of a latent [batch, channels, ...]."""
    if isinstance(value, float):
        return value
    return latent.new_tensor(value).reshape(-1, *(1,) * (latent.ndim - 2))


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What a conditioning may depend on beside itself: the run that it is for.

    `latent` and `noise` [batch, channels, h, w] are in the model's scale, on its device; `mask`
    [batch, 1, h, w] is 1 where the latent may change, None for everywhere. `form` is how the model sees
    latents of the VAE, `seed` that of the noise which samplers add.
    """

    latent: Tensor
    noise: Tensor
    mask: Tensor | None
    config: UNetConfig
    form: LatentFormat
    seed: int = 0


ModelInputs: TypeAlias = Callable[[Mapping[str, Any], int, Scene], Mapping[str, Tensor]]
"""Further inputs of the network (`y`, `concat`) for one conditioning: its options, its side, the run."""


def no_model_inputs(options: Mapping[str, Any], side: int, scene: Scene) -> Mapping[str, Tensor]:
    """A network that takes nothing but the embedding."""
    return {}


Tensors: TypeAlias = Mapping[str, Tensor]
"""The tensors of a whole file."""

TextEncoders: TypeAlias = Callable[[Tensors, tuple[TextPart, ...]], PromptEncoder]
"""Builds the text encoders of a family from a file and the parts that were found in it."""

Variant: TypeAlias = Callable[["Family", Tensors, UNetPart], "Family"]
"""The family as one file has it: what its tensors say about parametrization, levels and scale."""


def no_variants(family: Family, tensors: Tensors, unet: UNetPart) -> Family:
    """A family whose files are all alike."""
    return family


@dataclass(frozen=True, slots=True)
class Family:
    """One family of diffusion models."""

    name: str
    title: str
    latent_format: LatentFormat
    parametrization: Parametrization
    levels: Callable[[], NoiseLevels]
    text: TextEncoders
    model_inputs: ModelInputs = no_model_inputs
    variant: Variant = no_variants
