"""Nodes that put latents into batches and take them out.

`batch_index` says which place in a batch each latent had, since noise is drawn for that place; masks go
with their latents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from torch import Tensor

from comfykit.engine.define import combo, integer, node, socket
from comfykit.nodes.align import repeat_to, resize_like
from comfykit.nodes.batches import LARGEST_BATCH, MOST_MEMBERS
from comfykit.nodes.dynamic import Group, grouped, numbered
from comfykit.nodes.types import Latent

LARGEST_SLICE = 16384


@node("LatentBatch", title="LatentBatch", category="latent/batch")
def latent_batch(samples1: Latent, samples2: Latent) -> Latent:
    """Put two latents, or batches of them, into one batch; the second gets the size of the first."""
    return _joined([samples1, samples2])


@grouped("latents", numbered("latent", MOST_MEMBERS, socket("LATENT")))
@node("BatchLatentsNode", title="Batch Latents", category="latent")
def batch_latents(latents: Group) -> Latent:
    """Put up to 50 latents, or batches of them, into one batch; all get the size of the first."""
    return _joined(list(latents.values()))


@node("LatentFromBatch", title="Latent From Batch", category="latent/batch")
def latent_from_batch(
    samples: Latent,
    batch_index: Annotated[int, integer(0, 0, 63)],
    length: Annotated[int, integer(1, 1, 64)],
) -> Latent:
    """Take `length` latents out of a batch, the first one at `batch_index`, counted from 0.

    They get the noise that they would have got in the batch. There is always at least one: an index
    beyond the batch means its last latent.
    """
    first = min(batch_index, len(samples["samples"]) - 1)
    part = _cut(samples, first, min(first + length, len(samples["samples"])))
    return {**part, "batch_index": indices(samples)[first : first + length]}


@node("RepeatLatentBatch", title="Repeat Latent Batch", category="latent/batch")
def repeat_latent_batch(samples: Latent, amount: Annotated[int, integer(1, 1, 64)]) -> Latent:
    """Make a batch that holds the given one `amount` times over, each time with other noise."""
    old = samples["samples"]
    made = {**samples, "samples": old.repeat(amount, *[1] * (old.ndim - 1))}
    mask = samples.get("noise_mask")
    if mask is not None and len(mask) > 1:
        fitting = repeat_to(mask, len(old))
        made["noise_mask"] = fitting.repeat(amount, *[1] * (mask.ndim - 1))
    if "batch_index" in samples:
        places = samples["batch_index"]
        stride = max(places) - min(places) + 1
        made["batch_index"] = [place + turn * stride for turn in range(amount) for place in places]
    return made


@node("RebatchLatents", title="Rebatch Latents", category="latent/batch", input_is_list=True, lists=(True,))
def rebatch_latents(
    latents: Annotated[list[dict[str, Any]], socket("LATENT")],
    batch_size: Annotated[list[int], integer(1, 1, LARGEST_BATCH)],
) -> Annotated[list[dict[str, Any]], socket("LATENT")]:
    """Cut batches into a list of batches of `batch_size` latents; the last may have fewer.

    Latents of different sizes are never in one batch. Each keeps the noise it would have got: counted on
    from batch to batch.
    """
    singles: list[dict[str, Any]] = []
    for latent in latents:
        places = latent.get("batch_index") or range(len(singles), len(singles) + len(latent["samples"]))
        singles += [{**_cut(latent, at, at + 1), "batch_index": [place]} for at, place in enumerate(places)]
    return [_joined(part) for part in _parts(singles, batch_size[0])]


@node("LatentBatchSeedBehavior", title="LatentBatchSeedBehavior", category="latent/advanced")
def latent_batch_seed_behavior(
    samples: Latent, seed_behavior: Annotated[str, combo(("random", "fixed"), "fixed")]
) -> Latent:
    """Say what noise the latents of a batch get: each its own (random), or all the first one's (fixed)."""
    made = {name: value for name, value in samples.items() if name != "batch_index"}
    if seed_behavior == "fixed":
        made["batch_index"] = [indices(samples)[0]] * len(samples["samples"])
    return made


@node("LatentCutToBatch", title="Latent Cut To Batch", category="latent/advanced", output_names=("samples",))
def latent_cut_to_batch(
    samples: Latent,
    dim: Annotated[str, combo(("t", "x", "y"))],
    slice_size: Annotated[int, integer(1, 1, LARGEST_SLICE)],
) -> Latent:
    """Cut latents into slices along time, width or height, and make a batch of them.

    What is left over at the end is dropped.
    """
    old = samples["samples"]
    axis = {"x": old.ndim - 1, "y": old.ndim - 2, "t": old.ndim - 3}[dim]
    size = min(slice_size, old.shape[axis])
    slices = old.narrow(axis, 0, old.shape[axis] // size * size).unflatten(axis, (-1, size))
    return {"samples": slices.movedim(axis, 1).flatten(0, 1)}


def indices(latent: dict[str, Any]) -> list[int]:
    """The place in a batch that each latent draws its noise for."""
    return list(latent.get("batch_index") or range(len(latent["samples"])))


def _cut(latent: dict[str, Any], first: int, end: int) -> dict[str, Any]:
    """Some latents of a batch with their masks."""
    old = latent["samples"]
    made = {**latent, "samples": old[first:end].clone()}
    mask = latent.get("noise_mask")
    if mask is not None and len(mask) > 1:
        made["noise_mask"] = repeat_to(mask, len(old))[first:end].clone()
    return made


def _joined(latents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One batch of several."""
    first = latents[0]["samples"]
    sized = [resize_like(latent["samples"], first).to(first) for latent in latents]
    made = {**latents[0], "samples": torch.cat(sized)}
    made["batch_index"] = [place for latent in latents for place in indices(latent)]
    if any("noise_mask" in latent for latent in latents):
        made["noise_mask"] = _joined_masks(latents)
    return made


def _joined_masks(latents: Sequence[dict[str, Any]]) -> Tensor:
    """One mask for each latent; those without one are sampled everywhere."""
    like = next(latent["noise_mask"] for latent in latents if "noise_mask" in latent)
    like = like.reshape(-1, 1, *like.shape[-2:])
    masks = []
    for latent in latents:
        mask = latent.get("noise_mask", torch.ones_like(like[:1])).to(like)
        sized = resize_like(mask.reshape(-1, 1, *mask.shape[-2:]), like)
        masks.append(repeat_to(sized, len(latent["samples"])))
    return torch.cat(masks)


def _parts(singles: Sequence[dict[str, Any]], size: int) -> list[list[dict[str, Any]]]:
    """Neighbours of one shape together, at most `size` of them."""
    parts: list[list[dict[str, Any]]] = []
    for single in singles:
        shape = single["samples"].shape
        if not parts or len(parts[-1]) == size or parts[-1][0]["samples"].shape != shape:
            parts.append([])
        parts[-1].append(single)
    return parts
