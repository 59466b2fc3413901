"""`comfy.ldm.common_dit`: what transformers of pictures have in common."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F


def pad_to_patch_size(
    img: Tensor, patch_size: Sequence[int] = (2, 2), padding_mode: str = "circular"
) -> Tensor:
    """The picture, its sides filled up to multiples of a patch's."""
    padding: list[int] = []
    for side, patch in zip(img.shape[2:], patch_size, strict=True):
        padding = [0, -side % patch, *padding]
    return F.pad(img, padding, mode=padding_mode)


def rms_norm(x: Tensor, weight: Tensor | None = None, eps: float = 1e-6) -> Tensor:
    """Divided by the root of the mean square of the last axis, times a weight."""
    own = None if weight is None else weight.to(x)
    return F.rms_norm(x, x.shape[-1:], own, eps)
