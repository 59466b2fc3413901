"""Models from files."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, TypeAlias

import torch

from comfykit.engine.define import combo, node
from comfykit.engine.schema import Assembled, Listing
from comfykit.families.components import Autoencoder
from comfykit.families.diffusers_folder import load_diffusers
from comfykit.families.load import load_checkpoint, load_diffusion_model, load_vae
from comfykit.families.load_text import load_text_encoder
from comfykit.families.tiny_vae import TINY_VAES, load_tiny_vae
from comfykit.home import Home
from comfykit.models.pixel_space import PixelSpace
from comfykit.nodes.types import Clip, Context, Model, Vae

PIXEL_SPACE = "pixel_space"

# "fast" computes in 8 bits where a GPU can, which is not done here: the weights are rounded the same.
WEIGHT_TYPES = {
    "default": None,
    "fp8_e4m3fn": torch.float8_e4m3fn,
    "fp8_e4m3fn_fast": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
}

SINGLE_TYPES = (
    "stable_diffusion",
    "stable_cascade",
    "sd3",
    "stable_audio",
    "mochi",
    "ltxv",
    "pixart",
    "cosmos",
    "lumina2",
    "wan",
    "hidream",
    "chroma",
    "ace",
    "omnigen2",
    "qwen_image",
    "hunyuan_image",
)
DUAL_TYPES = ("sdxl", "sd3", "flux", "hunyuan_video", "hidream", "hunyuan_image")

VAE_NAMES = Listing(
    "models/vae",
    also=(PIXEL_SPACE,),
    assembled=tuple(
        Assembled(tiny.name, "models/vae_approx", (tiny.encoder, tiny.decoder)) for tiny in TINY_VAES.values()
    ),
)

TextEncoderName: TypeAlias = Annotated[str, combo(Listing("models/text_encoders"))]
Device: TypeAlias = Annotated[str, combo(("default", "cpu"), advanced=True)]


@node("CheckpointLoaderSimple", title="Load Checkpoint", category="loaders")
def checkpoint_loader_simple(
    context: Context, ckpt_name: Annotated[str, combo(Listing("models/checkpoints"))]
) -> tuple[Model, Clip, Vae]:
    """Load a checkpoint: a diffusion model with its text encoder and VAE in one file."""
    found = load_checkpoint(context.settings.home.find("checkpoints", ckpt_name))
    return found.model, found.clip, found.vae


def any_config(config_name: str | None) -> bool:
    """A `check` that takes every name: configurations are not read."""
    return True


@node(
    "CheckpointLoader",
    title="Load Checkpoint With Config (DEPRECATED)",
    category="advanced/loaders",
    check=any_config,
)
def checkpoint_loader(
    context: Context,
    config_name: Annotated[str, combo(Listing("models/configs"))],
    ckpt_name: Annotated[str, combo(Listing("models/checkpoints"))],
) -> tuple[Model, Clip, Vae]:
    """Load a checkpoint as CheckpointLoaderSimple does; the configuration that is named is not read.

    What a file holds follows from its tensors. Other settings in a configuration, such as a clip skip, are
    made with nodes of their own.
    """
    context.warn(
        f"the configuration {config_name!r} is not read: the checkpoint itself tells what it is",
        hint="if it sets a clip skip, add CLIPSetLastLayer; use CheckpointLoaderSimple otherwise",
    )
    found = load_checkpoint(context.settings.home.find("checkpoints", ckpt_name))
    return found.model, found.clip, found.vae


@node("DiffusersLoader", title="DiffusersLoader", category="advanced/loaders/deprecated")
def diffusers_loader(
    context: Context, model_path: Annotated[str, combo(Listing("models/diffusers"))]
) -> tuple[Model, Clip, Vae]:
    """Load a model in a folder, as diffusers saves it, below models/diffusers."""
    found = load_diffusers(context.settings.home.find("diffusers", model_path))
    return found.model, found.clip, found.vae


@node("UNETLoader", title="Load Diffusion Model", category="advanced/loaders")
def unet_loader(
    context: Context,
    unet_name: Annotated[str, combo(Listing("models/diffusion_models"))],
    weight_dtype: Annotated[str, combo(tuple(WEIGHT_TYPES))],
) -> Model:
    """Load a diffusion model from a file of its own; the types of 8 bits round its weights to them."""
    path = context.settings.home.find("diffusion_models", unet_name)
    return load_diffusion_model(path, WEIGHT_TYPES[weight_dtype])


@node("CLIPLoader", title="Load CLIP", category="advanced/loaders")
def clip_loader(
    context: Context,
    clip_name: TextEncoderName,
    type: Annotated[str, combo(SINGLE_TYPES)],  # noqa: A002  (the input's name)
    device: Device = "default",
) -> Clip:
    """Load a text encoder from a file of its own.

    With `stable_diffusion` the file says whether it is that of SD 1.x, SD 2.x or the SDXL refiner.
    """
    path = context.settings.home.find("text_encoders", clip_name)
    return load_text_encoder([path], type, _device(device))


@node("DualCLIPLoader", title="DualCLIPLoader", category="advanced/loaders")
def dual_clip_loader(
    context: Context,
    clip_name1: TextEncoderName,
    clip_name2: TextEncoderName,
    type: Annotated[str, combo(DUAL_TYPES)],  # noqa: A002  (the input's name)
    device: Device = "default",
) -> Clip:
    """Load two text encoders from files of their own, in any order: CLIP-L and CLIP-G for `sdxl`."""
    home = context.settings.home
    paths = [home.find("text_encoders", name) for name in (clip_name1, clip_name2)]
    return load_text_encoder(paths, type, _device(device))


@node("VAELoader", title="Load VAE", category="loaders")
def vae_loader(context: Context, vae_name: Annotated[str, combo(VAE_NAMES)]) -> Vae:
    """Load a VAE from a file of its own.

    `taesd` and `taesdxl` are tiny ones for SD and SDXL, whose two files lie in models/vae_approx;
    `pixel_space` is none at all, for models that work on pixels.
    """
    home = context.settings.home
    if vae_name == PIXEL_SPACE:
        return Autoencoder(PixelSpace())
    tiny = TINY_VAES.get(vae_name)
    if tiny is None:
        return load_vae(home.find("vae", vae_name))
    encoder, decoder = (_approximate(home, stem) for stem in (tiny.encoder, tiny.decoder))
    return load_tiny_vae(home.find("vae_approx", encoder), home.find("vae_approx", decoder), tiny.scale)


def _approximate(home: Home, stem: str) -> str:
    """The name of the file in models/vae_approx, whatever its suffix."""
    names = home.names("vae_approx")
    return next((name for name in names if PurePosixPath(name).stem == stem), f"{stem}.safetensors")


def _device(device: str) -> torch.device | None:
    return torch.device("cpu") if device == "cpu" else None
