"""Latents and conditionings for filling in parts of a picture and for editing it.

A mask [batch, height, width] of any size is 1 (white) where the picture is to be made.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from comfykit.engine.define import boolean, integer, node
from comfykit.families.components import cropped
from comfykit.nodes.conditioning import with_options
from comfykit.nodes.types import Conditioning, Context, Image, Latent, Mask, Vae
from comfykit.nodes.vae import encode

GREY = 0.5


@node("VAEEncodeForInpaint", title="VAE Encode (for Inpainting)", category="latent/inpaint")
def vae_encode_for_inpaint(
    context: Context,
    pixels: Image,
    vae: Vae,
    mask: Mask,
    grow_mask_by: Annotated[int, integer(6, 0, 64)],
) -> Latent:
    """Make a latent whose masked part a sampler fills in, with what lies there painted over in grey.

    The mask that the sampler gets is larger by `grow_mask_by` pixels, so that the borders fit. Meant for
    models for inpainting, at a denoise of 1.
    """
    pixels, mask = _fitted(pixels, mask, vae.cell)
    height, width = pixels.shape[1:3]
    grown = _grown(mask.round(), grow_mask_by)[..., :height, :width]
    return {"samples": encode(context, vae, _painted_over(pixels, mask)), "noise_mask": grown}


@node(
    "InpaintModelConditioning",
    title="InpaintModelConditioning",
    category="conditioning/inpaint",
    output_names=("positive", "negative", "latent"),
)
def inpaint_model_conditioning(
    context: Context,
    positive: Conditioning,
    negative: Conditioning,
    vae: Vae,
    pixels: Image,
    mask: Mask,
    noise_mask: Annotated[bool, boolean(True)],
) -> tuple[Conditioning, Conditioning, Latent]:
    """Show a model for inpainting the picture without what lies under the mask, and the mask.

    With `noise_mask` the rest of the picture stays exactly as it is, else the model may change it too.
    """
    pixels, mask = _fitted(pixels, mask, vae.cell)
    known = encode(context, vae, _painted_over(pixels, mask))
    latent = {"samples": encode(context, vae, pixels)}
    if noise_mask:
        latent["noise_mask"] = mask
    shown = {"concat_latent_image": known, "concat_mask": mask}
    return with_options(positive, **shown), with_options(negative, **shown), latent


@node(
    "InstructPixToPixConditioning",
    title="InstructPixToPixConditioning",
    category="conditioning/instructpix2pix",
    output_names=("positive", "negative", "latent"),
)
def instruct_pix_to_pix_conditioning(
    context: Context, positive: Conditioning, negative: Conditioning, vae: Vae, pixels: Image
) -> tuple[Conditioning, Conditioning, Latent]:
    """Show a model for editing the picture that a prompt says how to change."""
    shown = encode(context, vae, pixels)
    return (
        with_options(positive, concat_latent_image=shown),
        with_options(negative, concat_latent_image=shown),
        {"samples": torch.zeros_like(shown)},
    )


def _fitted(pixels: Tensor, mask: Tensor, cell: int) -> tuple[Tensor, Tensor]:
    """Pictures cut to whole cells, and the mask [any, 1, height, width] in the same place and size."""
    height, width = pixels.shape[1:3]
    planes = mask.reshape(-1, 1, *mask.shape[-2:])
    planes = F.interpolate(planes, size=(height, width), mode="bilinear")
    return cropped(pixels, cell), cropped(planes.movedim(1, -1), cell).movedim(-1, 1)


def _painted_over(pixels: Tensor, mask: Tensor) -> Tensor:
    """Pictures that are grey where the mask is white."""
    keep = 1.0 - mask.round().movedim(1, -1)
    return (pixels[..., :3] - GREY) * keep + GREY


def _grown(mask: Tensor, by: int) -> Tensor:
    """A mask of zeros and ones whose ones reach further; for an even `by` it comes out a row larger."""
    return F.max_pool2d(mask, by, stride=1, padding=math.ceil((by - 1) / 2)) if by else mask
