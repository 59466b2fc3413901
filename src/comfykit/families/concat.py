"""What some U-Nets are given beside the latent, in further channels.

Inpainting models (9 channels) see the mask and the picture without what lies under it: "High-Resolution
Image Synthesis with Latent Diffusion Models" (Rombach et al. 2022), section 4.5, in the order of its
code. Models that edit (8 channels) see the picture to edit: "InstructPix2Pix" (Brooks et al. 2023),
section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from comfykit.families.family import Scene
from comfykit.families.framing import crop_to_aspect
from comfykit.sampling.conditioning import fit_mask

MID_GREY = (0.8223, -0.6876, 0.6364, -0.1380)
"""The latent, in the model's scale, of a picture of mid-grey: what lies under a mask that covers it all."""


def concat_inputs(
    options: Mapping[str, Any], side: int, scene: Scene, *, edits_in_scale: bool = False
) -> Mapping[str, Tensor]:
    """`concat` [batch, channels, h, w] for a U-Net with 9 or 8 input channels, nothing for one with 4.

    Reads `concat_latent_image` and `concat_mask` of a conditioning. `edits_in_scale` says that an editing
    model takes its picture in its own scale, not the VAE's.
    """
    extra = scene.config.in_channels - scene.latent.shape[1]
    if extra <= 0:
        return {}
    picture = options.get("concat_latent_image")
    if extra == scene.latent.shape[1]:
        return {"concat": _edited(picture, scene, edits_in_scale)}
    return {"concat": _inpainted(picture, options.get("concat_mask"), scene)}


def _edited(picture: Tensor | None, scene: Scene, in_scale: bool) -> Tensor:
    if picture is None:
        return torch.zeros_like(scene.latent)
    fitted = _fit(picture.to(scene.latent), scene.latent)
    return scene.form.to_model(fitted) if in_scale else fitted


def _inpainted(picture: Tensor | None, mask: Tensor | None, scene: Scene) -> Tensor:
    """The mask, 1 where the picture is to be made, and the picture; without a mask everything is."""
    latent = scene.latent
    fitted = scene.mask if mask is None else fit_mask(mask, latent)
    if fitted is None:
        grey = latent.new_tensor(MID_GREY)[:, None, None].expand_as(latent)
        return torch.cat((torch.ones_like(latent[:, :1]), grey), dim=1)
    known = latent if picture is None else _fit(scene.form.to_model(picture.to(latent)), latent)
    return torch.cat((fitted[:, :1].round(), known), dim=1)


def _fit(picture: Tensor, latent: Tensor) -> Tensor:
    """A latent in the size and the batch of another, cropped to the other's proportions."""
    height, width = latent.shape[-2:]
    if picture.shape[-2:] != latent.shape[-2:]:
        framed = crop_to_aspect(picture, width, height)
        picture = F.interpolate(framed, size=(height, width), mode="bilinear")
    rows, wanted = picture.shape[0], latent.shape[0]
    # Several pictures spread over the batch in order, each for its share of it.
    return picture if rows == wanted else picture[[row * rows // wanted for row in range(wanted)]]
