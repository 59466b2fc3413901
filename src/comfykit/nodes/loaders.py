"""Models from files."""

from __future__ import annotations

from typing import Annotated

import torch

from comfykit.engine.define import combo, node
from comfykit.engine.schema import Listing
from comfykit.families.load import load_checkpoint, load_diffusion_model, load_vae
from comfykit.nodes.types import Clip, Context, Model, Vae

# Types that weights can be rounded to when they are loaded. "fast" multiplies in it on some GPUs elsewhere.
WEIGHT_DTYPES = {
    "default": None,
    "fp8_e4m3fn": torch.float8_e4m3fn,
    "fp8_e4m3fn_fast": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
}


@node("CheckpointLoaderSimple", title="Load Checkpoint", category="loaders")
def checkpoint_loader_simple(
    context: Context, ckpt_name: Annotated[str, combo(Listing("models/checkpoints"))]
) -> tuple[Model, Clip, Vae]:
    """Load a checkpoint: a diffusion model with its text encoder and VAE in one file."""
    found = load_checkpoint(context.settings.home.find("checkpoints", ckpt_name))
    return found.model, found.clip, found.vae


@node("VAELoader", title="Load VAE", category="loaders")
def vae_loader(context: Context, vae_name: Annotated[str, combo(Listing("models/vae"))]) -> Vae:
    """Load a VAE from a file of its own."""
    return load_vae(context.settings.home.find("vae", vae_name))


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


@node("UNETLoader", title="Load Diffusion Model", category="advanced/loaders")
def unet_loader(
    context: Context,
    unet_name: Annotated[str, combo(Listing("models/diffusion_models"))],
    weight_dtype: Annotated[str, combo(tuple(WEIGHT_DTYPES))],
) -> Model:
    """Load a diffusion model from a file of its own. With fp8 its weights are rounded to that type first."""
    path = context.settings.home.find("diffusion_models", unet_name)
    return load_diffusion_model(path, WEIGHT_DTYPES[weight_dtype])
