"""Stable Diffusion 1.x: CLIP ViT-L/14, a U-Net that predicts the noise, 1000 levels."""

from __future__ import annotations

from comfykit.families import looks
from comfykit.families.concat import concat_inputs
from comfykit.families.family import Family, LatentFormat, Tensors
from comfykit.families.text_encoders import clip_l, only_part
from comfykit.sampling.noise_levels import scaled_linear_levels
from comfykit.sampling.parametrization import EpsPrediction
from comfykit.text.encoders import ClipEncoders
from comfykit.weights.detect import TextPart


def text_encoder(tensors: Tensors, parts: tuple[TextPart, ...]) -> ClipEncoders:
    """CLIP-L, read at its last layer."""
    part = only_part(parts, "Stable Diffusion 1.x")
    return ClipEncoders((clip_l(tensors, part, layer=-1, normed=True),))


SD15 = Family(
    name="sd15",
    title="Stable Diffusion 1.x",
    latent_format=LatentFormat(channels=4, scale=0.18215, look=looks.SD),
    parametrization=EpsPrediction(),
    levels=scaled_linear_levels,
    text=text_encoder,
    model_inputs=concat_inputs,
)
