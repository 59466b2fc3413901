"""Stable Diffusion XL: two text encoders, and a vector that tells the network sizes and crop.

"SDXL: Improving Latent Diffusion Models for High-Resolution Image Synthesis" (Podell et al. 2023), sections
2.1 and 2.2; the refiner, section 2.5, has one encoder and is told how pretty the picture is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from comfykit.errors import ModelFileError, UsageError
from comfykit.families import looks
from comfykit.families.concat import concat_inputs
from comfykit.families.family import Family, LatentFormat, Scene, Tensors, no_variants
from comfykit.families.text_encoders import clip_l, only_part, open_clip
from comfykit.families.unclip import image_vector
from comfykit.models.layers import timestep_embedding
from comfykit.sampling.continuous_levels import ContinuousNoiseLevels
from comfykit.sampling.guidance import NEGATIVE
from comfykit.sampling.noise_levels import scaled_linear_levels
from comfykit.sampling.parametrization import EDMPrediction, EpsPrediction, VPrediction
from comfykit.text.encoders import ClipEncoders
from comfykit.weights.detect import TextPart, UNetPart

NUMBER_WIDTH = 256
"""Width of the sinusoids that a number is given to the network as."""

# Noise levels between which models were trained that know no list of them.
COSXL_SIGMA_MIN = 0.002
PLAYGROUND_SIGMAS = 0.002, 80.0

PRETTY, UGLY = 6.0, 2.5
"""Aesthetic scores that the refiner is told for positive and negative prompts which say none."""


def text_encoders(tensors: Tensors, parts: tuple[TextPart, ...]) -> ClipEncoders:
    """CLIP-L and OpenCLIP-bigG side by side, read at their last layers but one, without a norm."""
    layouts = [part.layout for part in parts]
    if layouts == ["clip", "clip"]:
        first, second = sorted(parts, key=lambda part: _size(tensors, part))
    elif sorted(layouts) == ["clip", "open_clip"]:
        first, second = sorted(parts, key=lambda part: part.layout)
    else:
        found = ", ".join(layouts) or "none"
        raise ModelFileError(f"SDXL has the text encoders CLIP-L and OpenCLIP-bigG; found: {found}")
    return ClipEncoders(
        (
            clip_l(tensors, first, layer=-2, normed=False),
            open_clip(tensors, second, "clip_g", layer=-2, normed=False),
        )
    )


def refiner_text_encoder(tensors: Tensors, parts: tuple[TextPart, ...]) -> ClipEncoders:
    """OpenCLIP-bigG alone."""
    part = only_part(parts, "the SDXL refiner")
    return ClipEncoders((open_clip(tensors, part, "clip_g", layer=-2, normed=False),))


def model_inputs(
    options: Mapping[str, Any], side: int, scene: Scene, *, edits_in_scale: bool = False
) -> Mapping[str, Tensor]:
    """`y`: the pooled prompt, then height and width of the original, top and left of the crop, target size.

    A picture of which nothing is said is as large as the one that is made, and not cropped. Models for
    inpainting and editing are given `concat`, see `concat_inputs`.
    """
    height, width = _size_of_original(options, scene)
    numbers = (
        height,
        width,
        options.get("crop_h", 0),
        options.get("crop_w", 0),
        options.get("target_height", height),
        options.get("target_width", width),
    )
    concat = concat_inputs(options, side, scene, edits_in_scale=edits_in_scale)
    return {"y": _vector(options, numbers, scene), **concat}


def refiner_model_inputs(options: Mapping[str, Any], side: int, scene: Scene) -> Mapping[str, Tensor]:
    """`y`: the pooled prompt, height and width of the original, top and left of the crop, aesthetic score."""
    score = options.get("aesthetic_score", UGLY if side == NEGATIVE else PRETTY)
    crop = options.get("crop_h", 0), options.get("crop_w", 0)
    return {"y": _vector(options, (*_size_of_original(options, scene), *crop, score), scene)}


def variant(family: Family, tensors: Tensors, unet: UNetPart) -> Family:
    """What marks in a file say about it.

    `v_pred`: velocities instead of noise, with `ztsnr` down to pure noise (arXiv 2305.08891). `edm_vpred.*`:
    velocities at every level in a range (CosXL). `edm_mean`, `edm_std`: EDM's preconditioning on latents of
    that mean and deviation (Playground 2.5, arXiv 2402.17245).
    """
    if "edm_mean" in tensors and "edm_std" in tensors:
        return _playground(family, tensors["edm_mean"], tensors["edm_std"])
    if "edm_vpred.sigma_max" in tensors:
        lowest = tensors.get("edm_vpred.sigma_min")
        return replace(
            family,
            parametrization=VPrediction(),
            levels=partial(
                ContinuousNoiseLevels,
                COSXL_SIGMA_MIN if lowest is None else float(lowest),
                float(tensors["edm_vpred.sigma_max"]),
            ),
            model_inputs=partial(model_inputs, edits_in_scale=True),
        )
    if "v_pred" in tensors:
        levels = partial(scaled_linear_levels, zero_terminal_snr="ztsnr" in tensors)
        return replace(family, parametrization=VPrediction(), levels=levels)
    return family


def _playground(family: Family, mean: Tensor, deviation: Tensor) -> Family:
    edm = EDMPrediction()
    return replace(
        family,
        latent_format=LatentFormat(
            channels=family.latent_format.channels,
            scale=tuple((edm.sigma_data / deviation.double().flatten()).tolist()),
            shift=tuple(mean.double().flatten().tolist()),
            look=looks.PLAYGROUND,
        ),
        parametrization=edm,
        levels=partial(ContinuousNoiseLevels, *PLAYGROUND_SIGMAS),
    )


def _size_of_original(options: Mapping[str, Any], scene: Scene) -> tuple[float, float]:
    height, width = (side * scene.form.cell for side in scene.latent.shape[-2:])
    return options.get("height", height), options.get("width", width)


def _vector(options: Mapping[str, Any], numbers: Sequence[float], scene: Scene) -> Tensor:
    """The vector [batch of the prompt, channels]; raises `UsageError` where the prompt has none that fits."""
    embedded = timestep_embedding(torch.tensor(numbers), NUMBER_WIDTH).flatten()
    wanted = scene.config.adm_in_channels or 0
    pooled = _pooled(options, wanted - len(embedded), scene.seed)
    found = 0 if pooled is None else pooled.shape[-1]
    if pooled is None or found + len(embedded) != wanted:
        raise UsageError(
            f"the prompt has a pooled vector of {found} numbers, and the model takes {wanted} with sizes",
            hint="encode prompts with the text encoder of the model's own checkpoint",
        )
    return torch.cat((pooled, embedded.to(pooled).expand(pooled.shape[0], -1)), dim=-1)


def _pooled(options: Mapping[str, Any], width: int, seed: int) -> Tensor | None:
    """The pooled prompt; pictures take its place where the conditioning has some ("Revision")."""
    pictures = options.get("unclip_conditioning")
    return image_vector(pictures, width, seed)[:, :width] if pictures else options.get("pooled_output")


def _size(tensors: Tensors, part: TextPart) -> tuple[int, int]:
    """Layers and width of an encoder, by which the larger of two is told."""
    own = [name for name in tensors if name.startswith(f"{part.prefix}encoder.layers.")]
    return len(own), tensors[f"{part.prefix}embeddings.token_embedding.weight"].shape[1]


SDXL = Family(
    name="sdxl",
    title="SDXL",
    latent_format=LatentFormat(channels=4, scale=0.13025, look=looks.SDXL),
    parametrization=EpsPrediction(),
    levels=scaled_linear_levels,
    text=text_encoders,
    model_inputs=model_inputs,
    variant=variant,
)

SDXL_REFINER = replace(
    SDXL,
    name="sdxl_refiner",
    title="the SDXL refiner",
    text=refiner_text_encoder,
    model_inputs=refiner_model_inputs,
    variant=no_variants,
)
