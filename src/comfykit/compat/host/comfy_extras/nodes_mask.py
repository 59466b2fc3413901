"""`comfy_extras.nodes_mask`."""

from __future__ import annotations

from torch import Tensor

from comfykit.compat.extras import classes
from comfykit.nodes.compositing import composite as paste

globals().update(classes(__name__))


def composite(
    destination: Tensor,
    source: Tensor,
    x: int,
    y: int,
    mask: Tensor | None = None,
    multiplier: int = 8,
    resize_source: bool = False,
) -> Tensor:
    """A source [batch, channels, height, width] over a destination; places count `multiplier` to a cell."""
    left, top = (max(place, 0) // multiplier for place in (x, y))
    return paste(destination, source, left, top, mask, resize_source=resize_source)
