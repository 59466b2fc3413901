"""Which networks a weights file holds, by the names and shapes of its tensors alone.

Every width is read from a tensor; no width decides anything, so that a tiny file of a family's layout
is of that family.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from comfykit.errors import ModelFileError
from comfykit.models.unet import UNetConfig
from comfykit.models.vae import VAEConfig
from comfykit.weights import diffusers_vae
from comfykit.weights.kinds import BELONGS, Kind, kind_of
from comfykit.weights.layouts import Shapes, unet_config, vae_config

TextLayout = Literal["clip", "open_clip", "t5"]

UNET_PREFIX = "model.diffusion_model."


@dataclass(frozen=True, slots=True)
class UNetPart:
    """A U-Net in a file: what the names of its tensors begin with, and its shape."""

    prefix: str
    config: UNetConfig


@dataclass(frozen=True, slots=True)
class VAEPart:
    """An autoencoder in a file: what the names of its tensors begin with, and its shape.

    `diffusers` says that names and shapes are those of diffusers, see `weights.diffusers_vae`.
    """

    prefix: str
    config: VAEConfig
    diffusers: bool = False


@dataclass(frozen=True, slots=True)
class TextPart:
    """A text encoder in a file.

    After `prefix` the names go on with `embeddings.`, `encoder.` and `final_layer_norm.` in the layout
    `clip`, with `token_embedding.`, `transformer.resblocks.` and so on in `open_clip`, with `encoder.block.`
    in `t5`.
    """

    prefix: str
    layout: TextLayout


@dataclass(frozen=True, slots=True)
class Detected:
    """What a file holds.

    `family` names the models it belongs to. The U-Net is described of `sd15`, `sd21`, `sd21_unclip`,
    `sdxl` and `sdxl_refiner`; of others (`flux`, `sd3`, ...) only the name is known. Files without a
    diffusion model have their kind for a family.
    """

    kind: Kind
    family: str
    unet: UNetPart | None = None
    vae: VAEPart | None = None
    text: tuple[TextPart, ...] = ()


# How names of a family's tensors begin, after the diffusion model's prefix; the first that fits decides.
_FAMILY_SIGNS = (
    ("stable_cascade_c", "clip_txt_mapper."),
    ("stable_cascade_b", "effnet_mapper."),
    ("sd3", "joint_blocks.0."),
    ("chroma", "distilled_guidance_layer."),
    ("flux", "double_blocks.0."),
    ("aura_flow", "double_layers.0."),
    ("hidream", "double_stream_blocks.0."),
    ("qwen_image", "transformer_blocks.0.img_mod."),
    ("wan", "blocks.0.cross_attn."),
)

# Where text encoders lie, and how the names go on there.
_TEXT_PLACES: tuple[tuple[str, str, TextLayout], ...] = (
    ("cond_stage_model.transformer.text_model.", "embeddings.", "clip"),
    ("cond_stage_model.transformer.", "embeddings.", "clip"),
    ("cond_stage_model.model.", "token_embedding.", "open_clip"),
    ("conditioner.embedders.0.transformer.text_model.", "embeddings.", "clip"),
    ("conditioner.embedders.0.model.", "token_embedding.", "open_clip"),
    ("conditioner.embedders.1.model.", "token_embedding.", "open_clip"),
    ("text_encoders.clip_l.transformer.text_model.", "embeddings.", "clip"),
    ("text_encoders.clip_g.transformer.text_model.", "embeddings.", "clip"),
    ("text_encoders.t5xxl.transformer.", "encoder.block.", "t5"),
    ("text_model.", "embeddings.", "clip"),
    ("", "token_embedding.", "open_clip"),
    ("", "encoder.block.", "t5"),
)


def detect(shapes: Shapes) -> Detected:
    """What the file with tensors of these names and shapes holds.

    Raises `ModelFileError` for a layout that was never met, naming a few of its tensors.
    """
    kind = kind_of(shapes)
    if kind is None:
        names = ", ".join(islice(shapes, 4)) or "none at all"
        raise ModelFileError(f"tensors of no known model: {names}", hint="is it a model for images?")
    if kind in ("checkpoint", "diffusion_model"):
        return _diffusion(shapes)
    text = tuple(_text_parts(shapes)) if kind == "text_encoder" else ()
    vae = _vae_part(shapes, "") if kind == "vae" else None
    return Detected(kind, kind, vae=vae, text=text)


def require(detected: Detected, *kinds: Kind) -> None:
    """Raise `ModelFileError` unless the file is of one of `kinds`, saying where it belongs instead."""
    if detected.kind in kinds:
        return
    wanted, found = BELONGS[kinds[0]], BELONGS[detected.kind]
    raise ModelFileError(
        f"this is {found.called}, not {wanted.called}",
        hint=f"it belongs in models/{found.folder} and is loaded by {found.loader}",
        kind=detected.kind,
    )


def _diffusion(shapes: Shapes) -> Detected:
    """A file with a diffusion model in it, alone or with what makes it a checkpoint."""
    prefix = UNET_PREFIX if any(name.startswith(UNET_PREFIX) for name in shapes) else ""
    inner = {name[len(prefix) :]: shape for name, shape in shapes.items() if name.startswith(prefix)}
    vae, text = _vae_part(shapes, "first_stage_model."), tuple(_text_parts(shapes))
    kind: Kind = "checkpoint" if vae or text else "diffusion_model"
    for family, sign in _FAMILY_SIGNS:
        if any(name.startswith(sign) for name in inner):
            return Detected(kind, family, vae=vae, text=text)
    if vae and not prefix and "input_blocks.0.0.weight" not in shapes:
        return Detected("vae", "vae", vae=vae)  # cut out of a checkpoint, names and all
    config = unet_config(inner)
    family = _unet_family(config, text)
    if any(name.startswith("embedder.model.visual.") for name in shapes):
        family = "sd21_unclip"
    return Detected(kind, family, UNetPart(prefix, config), vae, text)


def _unet_family(config: UNetConfig, text: tuple[TextPart, ...]) -> str:
    """The family of a U-Net, by its text encoders where the file has them, else by its own make."""
    if not config.use_linear:
        return "sd15"
    if config.adm_in_channels is None:
        return "sd21"
    if config.input_depths[0]:
        return "sd21_unclip"
    # The base has two encoders and three levels, the refiner one and four.
    return "sdxl" if len(text) > 1 or len(config.channel_mult) == 3 else "sdxl_refiner"


def _vae_part(shapes: Shapes, prefix: str) -> VAEPart | None:
    """The autoencoder below `prefix`; None where there is none, or one of another make."""
    if f"{prefix}encoder.conv_in.weight" not in shapes or f"{prefix}decoder.conv_in.weight" not in shapes:
        return None
    inner = {name[len(prefix) :]: shape for name, shape in shapes.items() if name.startswith(prefix)}
    diffusers = diffusers_vae.SIGN in inner
    if diffusers:
        names = diffusers_vae.rename(inner)
        inner = {names[name]: shape for name, shape in inner.items()}
    return VAEPart(prefix, vae_config(inner), diffusers)


def _text_parts(shapes: Shapes) -> Iterator[TextPart]:
    for prefix, sign, layout in _TEXT_PLACES:
        if any(name.startswith(prefix + sign) for name in shapes):
            yield TextPart(prefix, layout)
