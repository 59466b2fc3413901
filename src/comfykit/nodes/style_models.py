"""Style models: the style of a picture beside the words of a prompt."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import torch

from comfykit.engine.define import combo, node, number, socket
from comfykit.engine.schema import Listing
from comfykit.errors import UsageError
from comfykit.families.style import StyleModel, load_style
from comfykit.nodes.clip_vision import ClipVisionOutput
from comfykit.nodes.types import Conditioning, Context

StyleModelInput: TypeAlias = Annotated[StyleModel, socket("STYLE_MODEL")]


@node("StyleModelLoader", title="Load Style Model", category="loaders")
def style_model_loader(
    context: Context, style_model_name: Annotated[str, combo(Listing("models/style_models"))]
) -> StyleModelInput:
    """Load a style model from models/style_models: that of T2I-Adapter, for SD 1.x."""
    return load_style(context.settings.home.find("style_models", style_model_name))


@node("StyleModelApply", title="Apply Style Model", category="conditioning/style_model")
def style_model_apply(
    context: Context,
    conditioning: Conditioning,
    style_model: StyleModelInput,
    clip_vision_output: ClipVisionOutput,
    strength: Annotated[float, number(1.0, 0.0, 10.0, 0.001)],
    strength_type: Annotated[str, combo(("multiply", "attn_bias"))],
) -> Conditioning:
    """Add the style of pictures to a prompt, as tokens behind its own.

    "multiply" scales those tokens by `strength`. "attn_bias" is for Flux.
    """
    if strength_type == "attn_bias" and strength != 1.0:
        raise UsageError(
            "strength_type 'attn_bias' weighs style in the attention of Flux models",
            hint="take 'multiply' with the style model of SD 1.x",
        )
    tokens = style_model.tokens(clip_vision_output, context.residency) * strength
    return [
        [torch.cat((embedding, tokens.to(embedding)), dim=1), dict(options)]
        for embedding, options in conditioning
    ]
