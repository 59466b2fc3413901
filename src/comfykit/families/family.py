"""What sets one model family apart from the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor

from comfykit.models.unet import UNetConfig
from comfykit.sampling.noise_levels import NoiseLevels
from comfykit.sampling.parametrization import Parametrization
from comfykit.text.encoders import PromptEncoder
from comfykit.weights.detect import TextPart


@dataclass(frozen=True, slots=True)
class LatentFormat:
    """How the latents of a VAE are brought to about unit variance for the diffusion model.

    `scale` is 1 / standard deviation; `cell` is the side of the square of pixels that one place stands for.
    """

    channels: int
    scale: float
    shift: float = 0.0
    cell: int = 8

    def to_model(self, latent: Tensor) -> Tensor:
        """From the VAE's scale to the model's."""
        return (latent - self.shift) * self.scale

    def from_model(self, latent: Tensor) -> Tensor:
        """From the model's scale to the VAE's."""
        return latent / self.scale + self.shift


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What a conditioning may depend on beside itself: the run that it is for.

    `latent` and `noise` [batch, channels, h, w] are in the model's scale, on its device; `mask`
    [batch, 1, h, w] is 1 where the latent may change, None for everywhere.
    """

    latent: Tensor
    noise: Tensor
    mask: Tensor | None
    config: UNetConfig


ModelInputs: TypeAlias = Callable[[Mapping[str, Any], int, Scene], Mapping[str, Tensor]]
"""Further inputs of the network (`y`, `concat`) for one conditioning: its options, its side, the run."""


def no_model_inputs(options: Mapping[str, Any], side: int, scene: Scene) -> Mapping[str, Tensor]:
    """A network that takes nothing but the embedding."""
    return {}


@dataclass(frozen=True, slots=True)
class Family:
    """One family of diffusion models.

    `text` builds the text encoder from a checkpoint's tensors and the parts that were found in it.
    """

    name: str
    title: str
    latent_format: LatentFormat
    parametrization: Parametrization
    levels: Callable[[], NoiseLevels]
    text: Callable[[Mapping[str, Tensor], tuple[TextPart, ...]], PromptEncoder]
    model_inputs: ModelInputs = no_model_inputs
