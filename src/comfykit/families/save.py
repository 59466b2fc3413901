"""Components as the tensors of a file: under the names and in the layout that their family's files have.

Weights are saved as they are used. Those without patches keep the type of their file; a diffusion model
with patches is saved in a type that holds both the file's and the one it computes in, so that the saved
model computes the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import torch
from torch import Tensor, nn

from comfykit.errors import ModelFileError
from comfykit.families.components import Autoencoder, DiffusionModel, TextEncoder
from comfykit.families.looks import in_metadata
from comfykit.memory import Residency
from comfykit.sampling.parametrization import VPrediction
from comfykit.text.open_clip import to_open_clip
from comfykit.weights.detect import UNET_PREFIX, TextLayout
from comfykit.weights.patch import NO_PATCHES, Patches
from comfykit.weights.write import Pending, ready

VAE_PREFIX = "first_stage_model."

# Where the text encoders lie in the checkpoints of a family, by slot, and in which layout.
_TEXT_PLACES: Mapping[str, Mapping[str, tuple[str, TextLayout]]] = {
    "sd15": {"clip_l": ("cond_stage_model.transformer.text_model.", "clip")},
    "sd21": {"clip_h": ("cond_stage_model.model.", "open_clip")},
    "sd21_unclip": {"clip_h": ("cond_stage_model.model.", "open_clip")},
    "sdxl": {
        "clip_l": ("conditioner.embedders.0.transformer.text_model.", "clip"),
        "clip_g": ("conditioner.embedders.1.model.", "open_clip"),
    },
    "sdxl_refiner": {"clip_g": ("conditioner.embedders.0.model.", "open_clip")},
}

# Models whose levels end above this were trained down to pure noise; the others end near 15.
_PURE_NOISE = 1000.0


def checkpoint_tensors(
    model: DiffusionModel, clip: TextEncoder, vae: Autoencoder, residency: Residency
) -> dict[str, Pending]:
    """A full checkpoint.

    Raises `ModelFileError` where the text encoders are not those of the model's family.
    """
    tensors = model_tensors(model, residency)
    places = _TEXT_PLACES.get(model.family.name, {})
    if places.keys() != clip.networks.keys():
        wanted, given = (", ".join(slots) or "none" for slots in (places, clip.networks))
        raise ModelFileError(
            f"checkpoints of {model.family.title} hold the text encoders {wanted}, not {given}",
            hint="save model and text encoders by themselves, with ModelSave and CLIPSave",
        )
    for slot, (prefix, layout) in places.items():
        encoder = _encoder(clip, slot, residency)
        tensors |= _below(prefix, _in_open_clip(encoder) if layout == "open_clip" else encoder)
    return tensors | _below(VAE_PREFIX, vae_tensors(vae, residency))


def model_tensors(model: DiffusionModel, residency: Residency) -> dict[str, Pending]:
    """A diffusion model alone, under the names that it has in checkpoints."""
    computed = residency.dtype("unet") if model.dtype is None else model.dtype
    dtype = computed if len(model.patches) else None
    tensors = _tensors(model.network, model.patches, residency, dtype)
    return _below(UNET_PREFIX, tensors) | _markers(model)


def text_encoder_tensors(clip: TextEncoder, residency: Residency) -> dict[str, dict[str, Pending]]:
    """Every text encoder as a file of its own, by slot, under the names that transformers gives them."""
    return {
        slot: {in_transformers(name): tensor for name, tensor in _encoder(clip, slot, residency).items()}
        for slot in clip.networks
    }


def vae_tensors(vae: Autoencoder, residency: Residency) -> dict[str, Pending]:
    """A VAE alone."""
    return _tensors(vae.network, NO_PATCHES, residency)


def in_transformers(name: str) -> str:
    """What transformers calls a parameter of `ClipText`."""
    return name if name.startswith("text_projection.") else f"text_model.{name}"


def model_spec(model: DiffusionModel, title: str) -> dict[str, str]:
    """What a file says of a model in its header, as Stability AI's ModelSpec 1.0.1 asks for.

    https://github.com/Stability-AI/ModelSpec. How latents of its own kind are previewed is said as well.
    """
    velocity = isinstance(model.parametrization, VPrediction)
    architecture, resolution = _architecture(model, velocity=velocity)
    first = model.family.name == "sd15"
    return {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": architecture,
        "modelspec.implementation": "https://github.com/CompVis/stable-diffusion" if first else "sgm",
        "modelspec.title": title,
        "modelspec.date": datetime.now(UTC).isoformat(timespec="seconds"),
        "modelspec.resolution": f"{resolution}x{resolution}",
        "modelspec.prediction_type": "v" if velocity else "epsilon",
        **in_metadata(model.family.latent_format.look),
    }


def _architecture(model: DiffusionModel, *, velocity: bool) -> tuple[str, int]:
    """ModelSpec's name for the architecture, and the side of the pictures that it was made for."""
    channels = model.network.config.in_channels
    plain = {
        "sd15": ("stable-diffusion-v1", 512),
        "sd21": ("stable-diffusion-v2-768-v", 768) if velocity else ("stable-diffusion-v2-512", 512),
        "sdxl": ("stable-diffusion-xl-v1-base", 1024),
        "sdxl_refiner": ("stable-diffusion-xl-v1-refiner", 1024),
    }
    special = {
        ("sd15", 9): ("stable-diffusion-v1-inpainting", 512),
        ("sd21", 9): ("stable-diffusion-v2-inpainting", 512),
        ("sdxl", 8): ("stable-diffusion-xl-v1-edit", 1024),
    }
    name = model.family.name
    return special.get((name, channels)) or plain.get(name, (name, 512))


def _markers(model: DiffusionModel) -> dict[str, Pending]:
    """Empty tensors that tell what no weight of SDXL does: it predicts velocities, down to pure noise."""
    if model.family.name != "sdxl" or not isinstance(model.parametrization, VPrediction):
        return {}
    names = ["v_pred", "ztsnr"] if model.levels.sigma_max > _PURE_NOISE else ["v_pred"]
    return {name: ready(torch.empty(0)) for name in names}


def _encoder(clip: TextEncoder, slot: str, residency: Residency) -> dict[str, Pending]:
    return _tensors(clip.networks[slot], clip.patches.below(f"{slot}."), residency)


def _tensors(
    network: nn.Module, patches: Patches, residency: Residency, dtype: torch.dtype | None = None
) -> dict[str, Pending]:
    """A network's tensors with patches, widened where the file's type does not hold what is in `dtype`."""

    def pending(name: str, source: Tensor) -> Pending:
        kept = source.dtype if dtype is None else _wider(source.dtype, dtype)

        def make() -> Tensor:
            if not patches.entries(name):
                return source.to(kept)
            return patches.apply(name, source.to(residency.device)).to(kept)

        return Pending(kept, tuple(source.shape), make)

    return {name: pending(name, source) for name, source in residency.sources(network).items()}


def _wider(stored: torch.dtype, computed: torch.dtype) -> torch.dtype:
    """A type that holds the values of both."""
    # PyTorch promotes no type of one byte; both types of two bytes hold it.
    return computed if stored.itemsize == 1 else torch.promote_types(stored, computed)


def _in_open_clip(tensors: Mapping[str, Pending]) -> dict[str, Pending]:
    """A text encoder's tensors in OpenCLIP's layout."""

    def stack(parts: list[Pending], *, transposed: bool) -> Pending:
        rows, *others = parts[0].shape
        shape = (rows * len(parts), *others)

        def make() -> Tensor:
            joined = torch.cat([part.make() for part in parts])
            return joined.T if transposed else joined

        return Pending(parts[0].dtype, shape[::-1] if transposed else shape, make)

    return {
        name: stack([tensors[part] for part in stacked.parts], transposed=stacked.transposed)
        for name, stacked in to_open_clip(tensors).items()
    }


def _below(prefix: str, tensors: Mapping[str, Pending]) -> dict[str, Pending]:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}
