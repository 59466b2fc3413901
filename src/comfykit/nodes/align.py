"""Makes pictures, masks and latents fit one another: in batch size, in size, in channels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from comfykit.nodes.resize import resize

RGB = 3


def repeat_to(batch: Tensor, size: int) -> Tensor:
    """A batch of `size` items: those of `batch` over and over, or its first ones."""
    if batch.shape[0] == size:
        return batch
    times = -(-size // batch.shape[0])
    return batch.repeat(times, *[1] * (batch.ndim - 1))[:size]


def extend_to(batch: Tensor, size: int) -> Tensor:
    """A batch of at least `size` items; those that are missing are the last one again."""
    missing = size - batch.shape[0]
    return batch if missing <= 0 else torch.cat((batch, repeat_to(batch[-1:], missing)))


def resize_picture(image: Tensor, width: int, height: int, method: str, crop: str = "disabled") -> Tensor:
    """Resize IMAGE [batch, height, width, channels]; nothing happens to one of that size."""
    if image.shape[1:3] == (height, width):
        return image
    return resize(image.movedim(-1, 1), width, height, method, crop).movedim(1, -1)


def resize_mask(
    mask: Tensor, width: int, height: int, method: str = "bilinear", crop: str = "disabled"
) -> Tensor:
    """Resize MASK [batch, height, width], or one without a batch; nothing happens to one of that size."""
    if mask.shape[-2:] == (height, width):
        return mask
    return resize(mask.reshape(-1, 1, *mask.shape[-2:]), width, height, method, crop)[:, 0]


def fit_within(image: Tensor, width: int, height: int, method: str, fill: float) -> Tensor:
    """IMAGE resized to fit into a size, its aspect ratio kept; margins of `fill` on both ends do the rest."""
    factor = min(width / image.shape[2], height / image.shape[1])
    inner = max(1, int(image.shape[2] * factor)), max(1, int(image.shape[1] * factor))
    right, below = width - inner[0], height - inner[1]
    margins = (0, 0, right // 2, right - right // 2, below // 2, below - below // 2)
    return F.pad(resize_picture(image, *inner, method), margins, value=fill)


def resize_like(latent: Tensor, other: Tensor, method: str = "bilinear") -> Tensor:
    """Resize a latent to the width and height of another, from the middle of its aspect ratio."""
    if latent.shape[-2:] == other.shape[-2:]:
        return latent
    return resize(latent, other.shape[-1], other.shape[-2], method, "center")


def lengths(latent: Tensor) -> Tensor:
    """Lengths of a latent's channel vectors, [batch, 1, height, width]."""
    found: Tensor = torch.linalg.vector_norm(latent, dim=1, keepdim=True)
    return found


def same_channels(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Two pictures with as many channels each: the one that lacks alpha becomes opaque."""
    channels = max(first.shape[-1], second.shape[-1])
    return opaque(first, channels), opaque(second, channels)


def opaque(image: Tensor, channels: int) -> Tensor:
    """A picture with at least `channels` channels; those that are missing are 1."""
    return F.pad(image, (0, max(0, channels - image.shape[-1])), value=1.0)
