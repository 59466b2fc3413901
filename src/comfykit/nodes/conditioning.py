"""Prompts to conditioning, and where, when and how strongly a conditioning counts.

The names of options are ComfyUI's, because custom nodes read them; `families.conditioning` does too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

import torch
from torch.nn import functional as F

from comfykit.engine.define import combo, integer, node, number
from comfykit.engine.define import text as text_input
from comfykit.errors import UsageError
from comfykit.families.scheduled_text import encode_to_link
from comfykit.nodes.context import NodeContext
from comfykit.nodes.types import Clip, Conditioning, Context, Mask
from comfykit.text.embeddings import EmbeddingFolder
from comfykit.text.encoders import Embeddings

LARGEST = 16384

LongText: TypeAlias = Annotated[str, text_input(multiline=True, dynamicPrompts=True)]
Side: TypeAlias = Annotated[int, integer(64, 64, LARGEST, 8)]
Place: TypeAlias = Annotated[int, integer(0, 0, LARGEST, 8)]
Whole: TypeAlias = Annotated[float, number(1.0, 0, 1.0)]
Part: TypeAlias = Annotated[float, number(0, 0, 1.0)]
Strength: TypeAlias = Annotated[float, number(1.0, 0.0, 10.0)]


@node("CLIPTextEncode", title="CLIP Text Encode (Prompt)", category="conditioning")
def clip_text_encode(context: Context, text: LongText, clip: Clip) -> Conditioning:
    """Encode a prompt with a CLIP text encoder.

    `(words)` weighs them by 1.1, `(words:1.3)` by 1.3, `embedding:name` puts in a textual inversion.
    """
    return encode_to_link(clip, text, context.residency, embeddings(context))


def embeddings(context: NodeContext) -> Embeddings:
    """The textual inversions of the home."""
    home, reporter = context.settings.home, context.reporter
    return lambda slot, width: EmbeddingFolder(home, width, slot, reporter)


@node("CLIPSetLastLayer", title="CLIP Set Last Layer", category="conditioning")
def clip_set_last_layer(clip: Clip, stop_at_clip_layer: Annotated[int, integer(-1, -24, -1)]) -> Clip:
    """Read a text encoder at an earlier layer; -1 is the last ("clip skip 1"), -2 the one before."""
    return clip.with_layer(stop_at_clip_layer)


@node("ConditioningCombine", title="Conditioning (Combine)", category="conditioning")
def conditioning_combine(conditioning_1: Conditioning, conditioning_2: Conditioning) -> Conditioning:
    """Follow both conditionings: the model predicts with each, and the predictions are averaged."""
    return [*conditioning_1, *conditioning_2]


@node("ConditioningConcat", title="Conditioning (Concat)", category="conditioning")
def conditioning_concat(conditioning_to: Conditioning, conditioning_from: Conditioning) -> Conditioning:
    """Put one prompt's tokens behind another's, so that the model reads both as one long prompt."""
    behind = _first(conditioning_from)[0]
    return [[torch.cat((embedding, behind), dim=1), dict(options)] for embedding, options in conditioning_to]


@node("ConditioningAverage", title="ConditioningAverage", category="conditioning")
def conditioning_average(
    conditioning_to: Conditioning,
    conditioning_from: Conditioning,
    conditioning_to_strength: Annotated[float, number(1.0, 0.0, 1.0)],
) -> Conditioning:
    """Mix two prompts token by token; at 1 only `conditioning_to` counts, at 0 only `conditioning_from`."""
    part = conditioning_to_strength
    embedding_from, options_from = _first(conditioning_from)
    pooled_from = options_from.get("pooled_output")
    averaged: list[list[Any]] = []
    for embedding, options in conditioning_to:
        # A shorter prompt counts as nothing where it has ended, a longer one is cut.
        missing = max(0, embedding.shape[1] - embedding_from.shape[1])
        other = F.pad(embedding_from[:, : embedding.shape[1]], (0, 0, 0, missing))
        changed = dict(options)
        if pooled_from is not None:
            pooled = options.get("pooled_output")
            changed["pooled_output"] = (
                pooled_from if pooled is None else pooled * part + pooled_from * (1.0 - part)
            )
        averaged.append([embedding * part + other * (1.0 - part), changed])
    return averaged


@node("ConditioningZeroOut", title="ConditioningZeroOut", category="advanced/conditioning")
def conditioning_zero_out(conditioning: Conditioning) -> Conditioning:
    """Make all numbers of a prompt 0, which some models were trained to take for no prompt at all."""
    zeroed: list[list[Any]] = []
    for embedding, options in conditioning:
        pooled = options.get("pooled_output")
        changed = {} if pooled is None else {"pooled_output": torch.zeros_like(pooled)}
        zeroed.append([torch.zeros_like(embedding), {**options, **changed}])
    return zeroed


@node("ConditioningSetArea", title="Conditioning (Set Area)", category="conditioning")
def conditioning_set_area(
    conditioning: Conditioning, width: Side, height: Side, x: Place, y: Place, strength: Strength
) -> Conditioning:
    """Let a prompt count in a box of the picture only, given in pixels."""
    area = (height // 8, width // 8, y // 8, x // 8)
    return with_options(conditioning, area=area, strength=strength, set_area_to_bounds=False)


@node(
    "ConditioningSetAreaPercentage", title="Conditioning (Set Area with Percentage)", category="conditioning"
)
def conditioning_set_area_percentage(
    conditioning: Conditioning, width: Whole, height: Whole, x: Part, y: Part, strength: Strength
) -> Conditioning:
    """Let a prompt count in a box of the picture only, given in parts of its sides."""
    area = ("percentage", height, width, y, x)
    return with_options(conditioning, area=area, strength=strength, set_area_to_bounds=False)


@node(
    "ConditioningSetAreaPercentageVideo", title="ConditioningSetAreaPercentageVideo", category="conditioning"
)
def conditioning_set_area_percentage_video(
    conditioning: Conditioning,
    width: Whole,
    height: Whole,
    temporal: Whole,
    x: Part,
    y: Part,
    z: Part,
    strength: Strength,
) -> Conditioning:
    """Let a prompt count in a box of a video's frames only; `z` and `temporal` are parts of its length."""
    area = ("percentage", temporal, height, width, z, y, x)
    return with_options(conditioning, area=area, strength=strength, set_area_to_bounds=False)


@node("ConditioningSetAreaStrength", title="ConditioningSetAreaStrength", category="conditioning")
def conditioning_set_area_strength(conditioning: Conditioning, strength: Strength) -> Conditioning:
    """Weigh a prompt against the others that count at the same place."""
    return with_options(conditioning, strength=strength)


@node("ConditioningSetMask", title="Conditioning (Set Mask)", category="conditioning")
def conditioning_set_mask(
    conditioning: Conditioning,
    mask: Mask,
    strength: Strength,
    set_cond_area: Annotated[str, combo(("default", "mask bounds"))],
) -> Conditioning:
    """Let a prompt count where a mask is white.

    With "mask bounds" the model is shown only the box around the white, else the whole picture.
    """
    return with_options(
        conditioning,
        mask=mask if mask.ndim > 2 else mask[None],
        mask_strength=strength,
        set_area_to_bounds=set_cond_area != "default",
    )


@node("ConditioningSetTimestepRange", title="ConditioningSetTimestepRange", category="advanced/conditioning")
def conditioning_set_timestep_range(
    conditioning: Conditioning,
    start: Annotated[float, number(0.0, 0.0, 1.0, 0.001)],
    end: Annotated[float, number(1.0, 0.0, 1.0, 0.001)],
) -> Conditioning:
    """Let a prompt count for a part of the way from noise (0) to picture (1) only."""
    return with_options(conditioning, start_percent=start, end_percent=end)


@node("CLIPTextEncodeControlnet", title="CLIPTextEncodeControlnet", category="_for_testing/conditioning")
def clip_text_encode_controlnet(
    context: Context, clip: Clip, conditioning: Conditioning, text: LongText
) -> Conditioning:
    """Give the ControlNets of a conditioning a prompt of their own."""
    prompt = clip.encode(text, context.residency, embeddings(context))
    return with_options(
        conditioning, cross_attn_controlnet=prompt.embedding, pooled_output_controlnet=prompt.pooled
    )


def with_options(conditioning: Sequence[Sequence[Any]], **options: Any) -> list[list[Any]]:
    """The conditionings with these options set; those of the others are left as they are."""
    return [[embedding, {**before, **options}] for embedding, before in conditioning]


def _first(conditioning: Sequence[Sequence[Any]]) -> Sequence[Any]:
    """The one prompt that a node takes; those that were combined with it are left out."""
    if not conditioning:
        raise UsageError("the conditioning is empty", hint="connect one that has a prompt")
    return conditioning[0]
