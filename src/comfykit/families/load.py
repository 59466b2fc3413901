"""From a weights file to components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from comfykit.errors import ModelFileError
from comfykit.families.components import Autoencoder, DiffusionModel, TextEncoder
from comfykit.families.family import Family
from comfykit.families.sd15 import SD15
from comfykit.models.unet import UNet
from comfykit.models.vae import AutoencoderKL
from comfykit.weights.detect import Detected, VAEPart, detect, require
from comfykit.weights.kinds import Kind
from comfykit.weights.load import build
from comfykit.weights.read import WeightsFile, open_weights, take

FAMILIES: Mapping[str, Family] = {family.name: family for family in (SD15,)}


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
    file, found = _open(path, "checkpoint")
    family = FAMILIES.get(found.family)
    if family is None:
        raise _unknown_family(path, found)
    unet, vae = found.unet, found.vae
    if unet is None or vae is None or not found.text:
        raise _incomplete(path, found)
    network = build(
        lambda: UNet(unet.config), take(file.tensors, unet.prefix), what=f"the U-Net of {path.name}"
    )
    clip = TextEncoder(family.text(file.tensors, found.text))
    model = DiffusionModel(network, family, family.levels(), family.parametrization)
    return Checkpoint(model, clip, _vae(file, vae))


def load_vae(path: Path) -> Autoencoder:
    """Open a VAE: a file of its own, or the one inside a checkpoint."""
    file, found = _open(path, "vae", "checkpoint")
    if found.vae is None:
        raise _incomplete(path, found)
    return _vae(file, found.vae)


def _open(path: Path, *kinds: Kind) -> tuple[WeightsFile, Detected]:
    file = open_weights(path)
    try:
        found = detect(file.shapes)
        require(found, *kinds)
    except ModelFileError as error:
        raise ModelFileError(
            f"{path}: {error}", hint=error.hint, **{**error.facts, "path": str(path)}
        ) from error
    return file, found


def _unknown_family(path: Path, found: Detected) -> ModelFileError:
    titles = ", ".join(family.title for family in FAMILIES.values())
    return ModelFileError(
        f"{path} is a checkpoint of the family {found.family}, which comfykit does not run yet",
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


def _vae(file: WeightsFile, part: VAEPart) -> Autoencoder:
    tensors = take(file.tensors, part.prefix)
    return Autoencoder(
        build(lambda: AutoencoderKL(part.config), tensors, what=f"the VAE of {file.path.name}")
    )
