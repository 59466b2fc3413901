"""Prompts to conditioning."""

from __future__ import annotations

from typing import Annotated

from comfykit.engine.define import integer, node
from comfykit.engine.define import text as text_input
from comfykit.families.conditioning import to_link
from comfykit.nodes.context import NodeContext
from comfykit.nodes.types import Clip, Conditioning, Context
from comfykit.text.embeddings import EmbeddingFolder
from comfykit.text.encoders import Embeddings


@node("CLIPTextEncode", title="CLIP Text Encode (Prompt)", category="conditioning")
def clip_text_encode(
    context: Context,
    text: Annotated[str, text_input(multiline=True, dynamicPrompts=True)],
    clip: Clip,
) -> Conditioning:
    """Encode a prompt with a CLIP text encoder.

    `(words)` weighs them by 1.1, `(words:1.3)` by 1.3, `embedding:name` puts in a textual inversion.
    """
    return to_link(clip.encode(text, context.residency, embeddings(context)))


def embeddings(context: NodeContext) -> Embeddings:
    """The textual inversions of the home."""
    home, reporter = context.settings.home, context.reporter
    return lambda slot, width: EmbeddingFolder(home, width, slot, reporter)


@node("CLIPSetLastLayer", title="CLIP Set Last Layer", category="conditioning")
def clip_set_last_layer(clip: Clip, stop_at_clip_layer: Annotated[int, integer(-1, -24, -1)]) -> Clip:
    """Read a text encoder at an earlier layer; -1 is the last ("clip skip 1"), -2 the one before."""
    return clip.with_layer(stop_at_clip_layer)
