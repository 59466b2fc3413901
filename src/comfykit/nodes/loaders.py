"""Models from files."""

from __future__ import annotations

from typing import Annotated

from comfykit.engine.define import combo, node
from comfykit.engine.schema import Listing
from comfykit.families.load import load_checkpoint, load_vae
from comfykit.nodes.types import Clip, Context, Model, Vae


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
