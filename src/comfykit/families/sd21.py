"""Stable Diffusion 2.x: OpenCLIP ViT-H/14, a U-Net predicting noise or, at 768 pixels, velocity."""

from __future__ import annotations

from dataclasses import replace

import torch

from comfykit.families import looks
from comfykit.families.concat import concat_inputs
from comfykit.families.family import Family, LatentFormat, Tensors
from comfykit.families.text_encoders import only_part, open_clip
from comfykit.sampling.noise_levels import scaled_linear_levels
from comfykit.sampling.parametrization import EpsPrediction, VPrediction
from comfykit.text.encoders import ClipEncoders
from comfykit.weights.detect import TextPart, UNetPart

# The two kinds have the same tensors; trained with velocities, the biases of this norm spread wider.
TELLING_BIAS = "output_blocks.11.1.transformer_blocks.0.norm1.bias"
LARGEST_SPREAD_OF_EPS = 0.09


def text_encoder(tensors: Tensors, parts: tuple[TextPart, ...]) -> ClipEncoders:
    """OpenCLIP-H, read at its last layer but one, which the norm of the last follows."""
    part = only_part(parts, "Stable Diffusion 2.x")
    return ClipEncoders((open_clip(tensors, part, "clip_h", layer=-2, normed=True),))


def variant(family: Family, tensors: Tensors, unet: UNetPart) -> Family:
    """The velocity model where the file holds one; those for inpainting all predict the noise."""
    bias = tensors.get(unet.prefix + TELLING_BIAS)
    if bias is None or unet.config.in_channels != family.latent_format.channels:
        return family
    spread = float(torch.std(bias.float(), correction=0))
    return replace(family, parametrization=VPrediction()) if spread > LARGEST_SPREAD_OF_EPS else family


SD21 = Family(
    name="sd21",
    title="Stable Diffusion 2.x",
    latent_format=LatentFormat(channels=4, scale=0.18215, look=looks.SD),
    parametrization=EpsPrediction(),
    levels=scaled_linear_levels,
    text=text_encoder,
    model_inputs=concat_inputs,
    variant=variant,
)
