"""Nodes that crop, turn, join and compose latents. Places and sizes are those of the picture."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from comfykit.engine.define import boolean, combo, integer, node
from comfykit.nodes.align import repeat_to
from comfykit.nodes.compositing import composite
from comfykit.nodes.images import MAX_SIDE
from comfykit.nodes.latents import LEAST_SIDE, PIXELS
from comfykit.nodes.transforms import FLIPS, ROTATIONS
from comfykit.nodes.types import Latent, Mask

# Axis of each letter, counted from the last; a minus sign puts the second latent first.
AXES = {"x": -1, "y": -2, "t": -3}

Place = Annotated[int, integer(0, 0, MAX_SIDE, 8)]
Side = Annotated[int, integer(512, 64, MAX_SIDE, 8)]


@node("LatentCrop", title="Crop Latent", category="latent/transform")
def latent_crop(samples: Latent, width: Side, height: Side, x: Place, y: Place) -> Latent:
    """Cut a rectangle out of a latent. It begins at least 64 pixels before the right and lower borders."""
    old = samples["samples"]
    least = LEAST_SIDE // PIXELS
    left = max(0, min(x // PIXELS, old.shape[-1] - least))
    top = max(0, min(y // PIXELS, old.shape[-2] - least))
    part = old[..., top : top + height // PIXELS, left : left + width // PIXELS]
    return {**samples, "samples": part}


@node("LatentFlip", title="Flip Latent", category="latent/transform")
def latent_flip(samples: Latent, flip_method: Annotated[str, combo(FLIPS)]) -> Latent:
    """Mirror a latent: about the x axis turns it upside down, about the y axis swaps left and right."""
    return {**samples, "samples": samples["samples"].flip(2 if flip_method == FLIPS[0] else 3)}


@node("LatentRotate", title="Rotate Latent", category="latent/transform")
def latent_rotate(samples: Latent, rotation: Annotated[str, combo(ROTATIONS)]) -> Latent:
    """Turn a latent clockwise."""
    return {**samples, "samples": torch.rot90(samples["samples"], ROTATIONS.index(rotation), (3, 2))}


@node("LatentConcat", title="LatentConcat", category="latent/advanced")
def latent_concat(
    samples1: Latent,
    samples2: Latent,
    dim: Annotated[str, combo(("x", "-x", "y", "-y", "t", "-t"))],
) -> Latent:
    """Join two latents along width (x), height (y) or time (t); with a minus sign the second comes first.

    The second is repeated to the batch of the first.
    """
    first = samples1["samples"]
    parts = [first, repeat_to(samples2["samples"].to(first), len(first))]
    if dim.startswith("-"):
        parts.reverse()
    return {**samples1, "samples": torch.cat(parts, AXES[dim.removeprefix("-")])}


@node("LatentCut", title="LatentCut", category="latent/advanced")
def latent_cut(
    samples: Latent,
    dim: Annotated[str, combo(tuple(AXES))],
    index: Annotated[int, integer(0, -MAX_SIDE, MAX_SIDE)],
    amount: Annotated[int, integer(1, 1, MAX_SIDE)],
) -> Latent:
    """Take `amount` columns (x), rows (y) or frames (t) of a latent, from `index` on.

    A negative index counts from the end. Both are kept within the latent.
    """
    old = samples["samples"]
    axis, size = AXES[dim], old.shape[AXES[dim]]
    first = min(index, size - 1) if index >= 0 else max(0, size + index)
    return {**samples, "samples": old.narrow(axis, first, min(amount, size - first))}


@node("LatentComposite", title="Latent Composite", category="latent")
def latent_composite(samples_to: Latent, samples_from: Latent, x: Place, y: Place, feather: Place) -> Latent:
    """Lay a latent over another with its upper left corner at x, y, fading over `feather` pixels.

    It fades on the sides that do not lie on the other's border.
    """
    below, above = samples_to["samples"], samples_from["samples"]
    left, top = x // PIXELS, y // PIXELS
    visible = above[..., : max(0, below.shape[-2] - top), : max(0, below.shape[-1] - left)]
    if not visible.numel():
        return samples_to
    fading = _fading(visible.shape[-2:], (top, left), below.shape[-2:], feather // PIXELS)
    return {**samples_to, "samples": composite(below, visible, left, top, fading)}


@node("LatentCompositeMasked", title="LatentCompositeMasked", category="latent")
def latent_composite_masked(
    destination: Latent,
    source: Latent,
    x: Place,
    y: Place,
    resize_source: Annotated[bool, boolean(False)],
    mask: Mask | None = None,
) -> Latent:
    """Lay a latent over another with its upper left corner at x, y, where a mask is 1.

    The mask gets the size of the source; without one, all of the source shows. With resize_source it is
    resized to the destination first.
    """
    made = composite(
        destination["samples"],
        source["samples"],
        x // PIXELS,
        y // PIXELS,
        mask,
        resize_source=resize_source,
    )
    return {**destination, "samples": made}


@node("SetLatentNoiseMask", title="Set Latent Noise Mask", category="latent/inpaint")
def set_latent_noise_mask(samples: Latent, mask: Mask) -> Latent:
    """Sample a latent only where a mask is 1, and keep it where the mask is 0."""
    return {**samples, "noise_mask": mask.reshape(-1, 1, *mask.shape[-2:])}


def _fading(size: torch.Size, corner: tuple[int, int], whole: torch.Size, feather: int) -> Tensor:
    """Weights [1, height, width] of a latent that lies inside another one: rising from its inner borders."""

    def along(length: int, first: int, outer: int) -> Tensor:
        weights = torch.ones(length)
        steps = min(feather, length)
        ramp = torch.arange(1.0, steps + 1.0) / max(1, feather)
        if first:
            weights[:steps] *= ramp
        if first + length < outer:
            weights[length - steps :] *= ramp.flip(0)
        return weights

    rows, columns = (along(*of) for of in zip(size, corner, whole, strict=True))
    return (rows[:, None] * columns[None, :])[None]
