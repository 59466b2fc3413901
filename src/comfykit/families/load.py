"""From a weights file to components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from comfykit.errors import ModelFileError
from comfykit.families.components import Autoencoder, DiffusionModel, TextEncoder
from comfykit.families.family import Family, TextEncoders
from comfykit.families.looks import own_look
from comfykit.families.sd15 import SD15
from comfykit.families.sd21 import SD21
from comfykit.families.sd21_unclip import SD21_UNCLIP
from comfykit.families.sdxl import SDXL, SDXL_REFINER
from comfykit.models.unet import UNet
from comfykit.models.vae import AutoencoderKL
from comfykit.weights import diffusers_unet
from comfykit.weights.detect import Detected, UNetPart, VAEPart, detect, require
from comfykit.weights.diffusers_vae import in_checkpoint_layout
from comfykit.weights.kinds import Kind
from comfykit.weights.load import build
from comfykit.weights.read import WeightsFile, open_weights, take

FAMILIES: Mapping[str, Family] = {
    family.name: family for family in (SD15, SD21, SD21_UNCLIP, SDXL, SDXL_REFINER)
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The components of a single-file checkpoint."""

    model: DiffusionModel
    clip: TextEncoder
    vae: Autoencoder


def load_checkpoint(path: Path) -> Checkpoint:
    """Open a checkpoint; its weights stay in the file until they are used.

    Raises `ModelFileError` that says what the file is when it is no checkpoint of a known family.
    """
    return assembled(*open_detected(path, "checkpoint"))


def assembled(file: WeightsFile, found: Detected, text: TextEncoders | None = None) -> Checkpoint:
    """The components of what was found in the tensors of a checkpoint; `text` reads its encoders.

    Without it the family does. Raises `ModelFileError` as `load_checkpoint` does.
    """
    family = family_of(file.path, found)
    unet, vae = found.unet, found.vae
    if unet is None or vae is None or not found.text:
        raise _incomplete(file.path, found)
    clip = TextEncoder((text or family.text)(file.tensors, found.text))
    return Checkpoint(diffusion_model_of(file, unet, family), clip, vae_of(file, vae))


def load_diffusion_model(path: Path, dtype: torch.dtype | None = None) -> DiffusionModel:
    """Open a diffusion model: a file of its own, or the one inside a checkpoint.

    With `dtype` its weights are rounded to that type first.
    """
    file, found = open_detected(path, "diffusion_model", "checkpoint")
    family = family_of(path, found)
    if found.unet is None:
        raise _incomplete(path, found)
    return diffusion_model_of(file, found.unet, family, dtype)


def load_vae(path: Path) -> Autoencoder:
    """Open a VAE: a file of its own, in the layout of checkpoints or of diffusers, or one in a checkpoint."""
    file, found = open_detected(path, "vae", "checkpoint")
    if found.vae is None:
        raise _incomplete(path, found)
    return vae_of(file, found.vae)


def open_detected(path: Path, *kinds: Kind) -> tuple[WeightsFile, Detected]:
    """Open a weights file and say what it holds; U-Nets in diffusers' layout get the names of checkpoints.

    Raises `ModelFileError` where it is not of one of `kinds`, saying what it is instead.
    """
    file = open_weights(path)
    if diffusers_unet.SIGN in file.tensors:
        file = replace(file, tensors=diffusers_unet.in_checkpoint_layout(file.tensors))
    try:
        found = detect(file.shapes)
        require(found, *kinds)
    except ModelFileError as error:
        raise ModelFileError(
            f"{path}: {error}", hint=error.hint, **{**error.facts, "path": str(path)}
        ) from error
    return file, found


def family_of(path: Path, found: Detected) -> Family:
    """The family of what was found; raises `ModelFileError` for one that comfykit does not run."""
    family = FAMILIES.get(found.family)
    if family is None:
        raise _unknown_family(path, found)
    return family


def diffusion_model_of(
    file: WeightsFile, unet: UNetPart, family: Family, dtype: torch.dtype | None = None
) -> DiffusionModel:
    """The diffusion model that was found in a file's tensors; with `dtype` they are rounded to it."""
    tensors = take(file.tensors, unet.prefix)
    if dtype is not None:
        tensors = {
            name: tensor.to(dtype) if tensor.is_floating_point() else tensor
            for name, tensor in tensors.items()
        }
    network = build(lambda: UNet(unet.config), tensors, what=f"the U-Net of {file.path.name}")
    as_in_file = _with_own_look(family.variant(family, file.tensors, unet), file)
    return DiffusionModel(network, as_in_file, as_in_file.levels(), as_in_file.parametrization)


def _with_own_look(family: Family, file: WeightsFile) -> Family:
    """The family, whose latents look as the file says where it has latents of its own."""
    form = family.latent_format
    look = own_look(file.metadata, form.channels)
    return family if look is None else replace(family, latent_format=replace(form, look=look))


def _unknown_family(path: Path, found: Detected) -> ModelFileError:
    titles = ", ".join(family.title for family in FAMILIES.values())
    return ModelFileError(
        f"{path} is a model of the family {found.family}, which comfykit does not run yet",
        hint=f"it runs {titles}",
        path=str(path),
        family=found.family,
    )


def _incomplete(path: Path, found: Detected) -> ModelFileError:
    parts = {"U-Net": found.unet, "VAE": found.vae, "text encoder": found.text}
    lacking = " and no ".join(name for name, part in parts.items() if not part)
    return ModelFileError(
        f"{path} holds no {lacking}",
        hint="take a full checkpoint, or load the parts with loaders of their own",
        path=str(path),
    )


def vae_of(file: WeightsFile, part: VAEPart) -> Autoencoder:
    """The VAE that was found in a file's tensors."""
    tensors = take(file.tensors, part.prefix)
    if part.diffusers:
        tensors = in_checkpoint_layout(tensors)
    return Autoencoder(
        build(lambda: AutoencoderKL(part.config), tensors, what=f"the VAE of {file.path.name}")
    )
