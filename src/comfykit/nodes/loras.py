"""Nodes that put LoRAs on models and text encoders, and the one that extracts a LoRA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeAlias

from torch import Tensor

from comfykit.engine.define import combo, node, number, socket
from comfykit.engine.schema import Input, Listing
from comfykit.families.components import DiffusionModel, TextEncoder
from comfykit.families.lora import add_lora, load_lora
from comfykit.nodes.context import NodeContext
from comfykit.nodes.types import Clip, Context, Model
from comfykit.weights.lora import Lora, parse_lora

STRENGTH: Input = number(1.0, -100.0, 100.0)
LoraName: TypeAlias = Annotated[str, combo(Listing("models/loras"))]
Strength: TypeAlias = Annotated[float, STRENGTH]
LoraModel: TypeAlias = Annotated[Mapping[str, Tensor], socket("LORA_MODEL")]


@node("LoraLoader", title="Load LoRA", category="loaders")
def lora_loader(
    context: Context,
    model: Model,
    clip: Clip,
    lora_name: LoraName,
    strength_model: Strength,
    strength_clip: Strength,
) -> tuple[Model, Clip]:
    """Put a LoRA on a model and its text encoder, each with a strength of its own; negative ones invert it.

    LoRA, LoCon, LoHa, LoKr and DoRA files are understood, as kohya's scripts, diffusers, PEFT and LyCORIS
    write them. Several loaders in a row add up.
    """
    if strength_model == 0 and strength_clip == 0:
        return model, clip
    lora = load_lora(context.settings.home.find("loras", lora_name))
    strengths = {"strength_model": strength_model, "strength_clip": strength_clip}
    with_model, with_clip = _add(context, lora_name, lora, model, clip, **strengths)
    return with_model, with_clip or clip


@node("LoraLoaderModelOnly", title="LoraLoaderModelOnly", category="loaders")
def lora_loader_model_only(
    context: Context, model: Model, lora_name: LoraName, strength_model: Strength
) -> Model:
    """Put a LoRA on a model and leave its text encoder as it is."""
    if strength_model == 0:
        return model
    lora = load_lora(context.settings.home.find("loras", lora_name))
    return _add(context, lora_name, lora, model, None, strength_model=strength_model)[0]


@node("LoraModelLoader", title="Load LoRA Model", category="loaders")
def lora_model_loader(context: Context, model: Model, lora: LoraModel, strength_model: Strength) -> Model:
    """Put a LoRA that another node made on a model."""
    if strength_model == 0:
        return model
    return _add(context, "the LoRA", parse_lora(lora), model, None, strength_model=strength_model)[0]


def _add(
    context: NodeContext,
    name: str,
    lora: Lora,
    model: DiffusionModel,
    clip: TextEncoder | None,
    *,
    strength_model: float,
    strength_clip: float = 0.0,
) -> tuple[DiffusionModel, TextEncoder | None]:
    """Both with the LoRA; a warning for each sort of thing in it that was left out."""
    added = add_lora(lora, model, clip, strength_model=strength_model, strength_clip=strength_clip)
    for said in added.left_out:
        context.warn(f"{name}: {said}")
    return added.model, added.clip
