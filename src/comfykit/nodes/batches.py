"""Nodes that put pictures and masks into batches and take them out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import torch
from torch import Tensor

from comfykit.engine.define import integer, node, socket
from comfykit.nodes.align import opaque, resize_mask, resize_picture
from comfykit.nodes.dynamic import Group, grouped, numbered
from comfykit.nodes.types import Image, Mask

MOST_MEMBERS = 50
LARGEST_BATCH = 4096


@node("ImageBatch", title="Batch Images", category="image")
def image_batch(image1: Image, image2: Image) -> Image:
    """Put two pictures, or batches of them, into one batch.

    The second gets the size of the first: the middle of its aspect ratio, resized bilinearly.
    """
    return join_pictures((image1, image2))


@grouped("images", numbered("image", MOST_MEMBERS, socket("IMAGE")))
@node("BatchImagesNode", title="Batch Images", category="image")
def batch_images(images: Group) -> Image:
    """Put up to 50 pictures, or batches of them, into one batch; all get the size of the first."""
    return join_pictures(images.values())


@grouped("masks", numbered("mask", MOST_MEMBERS, socket("MASK")))
@node("BatchMasksNode", title="Batch Masks", category="mask")
def batch_masks(masks: Group) -> Mask:
    """Put up to 50 masks, or batches of them, into one batch; all get the size of the first."""
    given = [mask.reshape(-1, *mask.shape[-2:]) for mask in masks.values()]
    height, width = given[0].shape[-2:]
    return torch.cat([resize_mask(mask, width, height, crop="center") for mask in given])


@node("ImageFromBatch", title="ImageFromBatch", category="image/batch")
def image_from_batch(
    image: Image,
    batch_index: Annotated[int, integer(0, 0, LARGEST_BATCH - 1)],
    length: Annotated[int, integer(1, 1, LARGEST_BATCH)],
) -> Image:
    """Take `length` pictures out of a batch, the first one at `batch_index`, counted from 0.

    There is always at least one: an index beyond the batch means its last picture.
    """
    first = min(batch_index, image.shape[0] - 1)
    return image[first : first + length].clone()


@node("RepeatImageBatch", title="RepeatImageBatch", category="image/batch")
def repeat_image_batch(image: Image, amount: Annotated[int, integer(1, 1, LARGEST_BATCH)]) -> Image:
    """Make a batch that holds the given one `amount` times over."""
    return image.repeat(amount, 1, 1, 1)


@node("RebatchImages", title="Rebatch Images", category="image/batch", input_is_list=True, lists=(True,))
def rebatch_images(
    images: Annotated[list[Tensor], socket("IMAGE")],
    batch_size: Annotated[list[int], integer(1, 1, LARGEST_BATCH)],
) -> Annotated[list[Tensor], socket("IMAGE")]:
    """Cut batches into a list of batches of `batch_size` pictures; the last may have fewer.

    Pictures of different sizes are never in one batch.
    """
    singles = [batch[index : index + 1] for batch in images for index in range(len(batch))]
    return [torch.cat(part) for part in _parts(singles, batch_size[0])]


def join_pictures(batches: Iterable[Tensor]) -> Tensor:
    """One batch of several; all get the size of the first, and alpha where any has it."""
    given = list(batches)
    height, width = given[0].shape[1:3]
    channels = max(batch.shape[-1] for batch in given)
    sized = [resize_picture(batch, width, height, "bilinear", "center") for batch in given]
    return torch.cat([opaque(batch, channels) for batch in sized])


def _parts(singles: Sequence[Tensor], size: int) -> list[list[Tensor]]:
    """Neighbours of one shape together, at most `size` of them."""
    parts: list[list[Tensor]] = []
    for single in singles:
        if not parts or len(parts[-1]) == size or parts[-1][0].shape != single.shape:
            parts.append([])
        parts[-1].append(single)
    return parts
