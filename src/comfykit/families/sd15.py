"""Stable Diffusion 1.x: CLIP ViT-L/14, a U-Net that predicts the noise, 1000 levels."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.families.family import Family, LatentFormat
from comfykit.sampling.noise_levels import scaled_linear_levels
from comfykit.sampling.parametrization import EpsPrediction
from comfykit.text.clip import ClipEncoder, build_clip_text, config_from_shapes
from comfykit.weights.detect import TextPart
from comfykit.weights.read import take


def text_encoder(tensors: Mapping[str, Tensor], parts: tuple[TextPart, ...]) -> ClipEncoder:
    """The CLIP-L text encoder of a checkpoint."""
    prefix = next((part.prefix for part in parts if part.layout == "clip"), None)
    if prefix is None:
        raise ModelFileError("the checkpoint has no CLIP-L text encoder")
    own = take(tensors, prefix)
    config = config_from_shapes({name: tuple(tensor.shape) for name, tensor in own.items()})
    return ClipEncoder(build_clip_text(own, config))


SD15 = Family(
    name="sd15",
    title="Stable Diffusion 1.x",
    latent_format=LatentFormat(channels=4, scale=0.18215),
    parametrization=EpsPrediction(),
    levels=scaled_linear_levels,
    text=text_encoder,
)
