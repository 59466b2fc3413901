"""Which part of a picture is shown where it has to fit another aspect ratio."""

from __future__ import annotations

from torch import Tensor


def crop_to_aspect(samples: Tensor, width: int, height: int) -> Tensor:
    """The largest middle part with the aspect ratio of `width` x `height`, a view of `samples`."""
    old_height, old_width = samples.shape[-2:]
    # What is too much on one of the axes, halved; the other axis comes out below zero.
    left = round((old_width * height - old_height * width) / (2 * height))
    top = round((old_height * width - old_width * height) / (2 * width))
    left = min(max(left, 0), (old_width - 1) // 2)
    top = min(max(top, 0), (old_height - 1) // 2)
    return samples[..., top : old_height - top, left : old_width - left]
