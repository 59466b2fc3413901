"""unCLIP: pictures of what another picture shows."""

from __future__ import annotations

from typing import Annotated

from comfykit.engine.define import combo, node, number
from comfykit.engine.schema import Listing
from comfykit.families.load import load_checkpoint
from comfykit.families.vision import embedded_vision
from comfykit.nodes.clip_vision import ClipVision, ClipVisionOutput
from comfykit.nodes.types import Clip, Conditioning, Context, Model, Vae


@node("unCLIPCheckpointLoader", title="unCLIPCheckpointLoader", category="loaders")
def unclip_checkpoint_loader(
    context: Context, ckpt_name: Annotated[str, combo(Listing("models/checkpoints"))]
) -> tuple[Model, Clip, Vae, ClipVision]:
    """Load an unCLIP checkpoint: a diffusion model with its text encoder, VAE and vision encoder."""
    path = context.settings.home.find("checkpoints", ckpt_name)
    vision = embedded_vision(path)
    found = load_checkpoint(path)
    return found.model, found.clip, found.vae, vision


@node("unCLIPConditioning", title="unCLIPConditioning", category="conditioning")
def unclip_conditioning(
    conditioning: Conditioning,
    clip_vision_output: ClipVisionOutput,
    strength: Annotated[float, number(1.0, -10.0, 10.0)],
    noise_augmentation: Annotated[float, number(0.0, 0.0, 1.0)],
) -> Conditioning:
    """Ask for what pictures show beside what a prompt says; several nodes in a row mix their pictures.

    `noise_augmentation` says how freely the model may depart from the pictures, 0 hardly and 1 entirely. For
    unCLIP models and, with the vision encoder CLIP ViT-bigG, for SDXL, where pictures take the place of the
    pooled prompt.
    """
    if strength == 0:
        return conditioning
    picture = {
        "clip_vision_output": clip_vision_output,
        "strength": strength,
        "noise_augmentation": noise_augmentation,
    }
    return [
        [embedding, {**options, "unclip_conditioning": [*options.get("unclip_conditioning", ()), picture]}]
        for embedding, options in conditioning
    ]
