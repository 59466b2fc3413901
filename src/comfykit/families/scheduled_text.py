"""Prompts encoded with hooks: for every part of the schedule where they ask for it, a conditioning."""

from __future__ import annotations

from typing import Any

from comfykit.families.components import TextEncoder
from comfykit.families.conditioning import to_link
from comfykit.memory import Residency
from comfykit.text.encoders import Embeddings, Prompts, without_embeddings


def encode_to_link(
    clip: TextEncoder, prompts: Prompts, residency: Residency, embeddings: Embeddings = without_embeddings
) -> list[list[Any]]:
    """The conditioning of a prompt: one, or several that follow each other where hooks are scheduled.

    Those have `clip_start_percent` and `clip_end_percent`, beside a range that they may be given later.
    """
    hooks = clip.hooks
    if hooks is None:
        return to_link(clip.encode(prompts, residency, embeddings))
    carried = {"hooks": hooks.hooks} if hooks.apply_to_conds else {}
    if not hooks.scheduled:
        ((embedding, options),) = to_link(clip.encode(prompts, residency, embeddings))
        return [[embedding, {**options, **carried}]]
    found: list[list[Any]] = []
    for start, end in hooks.stretches():
        ((embedding, options),) = to_link(clip.encode(prompts, residency, embeddings, percent=start))
        within = {"clip_start_percent": start, "clip_end_percent": end}
        found.append([embedding, {**options, **carried, **within}])
    return found
