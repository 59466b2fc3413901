"""Resizing of pictures and latents: tensors [batch, channels, height, width] in, the same out."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from comfykit.families.framing import crop_to_aspect

Pixels: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]


def resize(samples: Tensor, width: int, height: int, method: str, crop: str = "disabled") -> Tensor:
    """Resize to `width` x `height`; with crop "center" the middle of the target's aspect ratio first.

    "lanczos" takes pictures (0 to 1) through 8 bits; "bislerp" turns latent vectors instead of mixing them.
    """
    if crop == "center":
        samples = crop_to_aspect(samples, width, height)
    if method == "bislerp":
        return bislerp(samples, width, height)
    if method == "lanczos":
        return lanczos(samples, width, height)
    return F.interpolate(samples, size=(height, width), mode=method)


def lanczos(samples: Tensor, width: int, height: int) -> Tensor:
    """Pillow's windowed sinc filter, which reduces without aliasing; RGBA is weighted by its alpha."""
    scaled = samples.movedim(1, -1).to("cpu", torch.float32) * 255.0
    pixels = scaled.clamp_(0.0, 255.0).to(torch.uint8).numpy()
    resized = np.stack([_lanczos_picture(picture, width, height) for picture in pixels])
    return torch.from_numpy(resized).to(samples.device, samples.dtype).div_(255.0).movedim(-1, 1)


def _lanczos_picture(pixels: Pixels, width: int, height: int) -> Pixels:
    """[height, width, channels] of 8 bits; other than 3 or 4 channels are resized one by one."""

    def resized(plane: Pixels) -> Pixels:
        picture = Image.fromarray(plane).resize((width, height), Image.Resampling.LANCZOS)
        return np.asarray(picture)

    if pixels.shape[-1] in (3, 4):
        return resized(pixels)
    return np.stack([resized(plane) for plane in np.moveaxis(pixels, -1, 0)], axis=-1)


def bislerp(samples: Tensor, width: int, height: int) -> Tensor:
    """Bilinear interpolation that turns the channel vectors on a sphere, along the width, then the height.

    Mixing vectors linearly shortens them, which a sampler sees as missing noise; here direction and length
    are interpolated apart.
    """
    along_width = _slerp_axis(samples.float().movedim(1, -1), width, axis=2)
    return _slerp_axis(along_width, height, axis=1).movedim(-1, 1).to(samples.dtype)


def _slerp_axis(vectors: Tensor, size: int, axis: int) -> Tensor:
    """Resize one axis of [batch, height, width, channels], with the coordinates of bilinear interpolation."""
    old = vectors.shape[axis]
    centres = (torch.arange(size, device=vectors.device) + 0.5) * (old / size) - 0.5
    centres = centres.clamp(0, old - 1)
    low = centres.floor().long()
    high = (low + 1).clamp(max=old - 1)
    fraction = (centres - low).view([-1 if dim == axis else 1 for dim in range(vectors.ndim)])
    return slerp(vectors.index_select(axis, low), vectors.index_select(axis, high), fraction)


def slerp(start: Tensor, end: Tensor, fraction: Tensor) -> Tensor:
    """Spherical interpolation of the vectors in the last axis, their lengths interpolated linearly.

    Shoemake, "Animating rotation with quaternion curves" (1985), section 3.3. Where the vectors are
    (nearly) parallel or opposed, or one is zero, there is no plane to turn in: linear interpolation.
    """
    start_length = start.norm(dim=-1, keepdim=True)
    end_length = end.norm(dim=-1, keepdim=True)
    cosine = (start * end).sum(-1, keepdim=True) / (start_length * end_length)
    angle = cosine.clamp(-1.0, 1.0).acos()
    sine = angle.sin()
    from_start = ((1.0 - fraction) * angle).sin() / (sine * start_length)
    from_end = (fraction * angle).sin() / (sine * end_length)
    turned = (from_start * start + from_end * end) * torch.lerp(start_length, end_length, fraction)
    return torch.where(cosine.abs() < 1.0 - 1e-5, turned, torch.lerp(start, end, fraction))


def fill_in_size(width: int, height: int, old_width: int, old_height: int, least: int = 1) -> tuple[int, int]:
    """A size of at least `least` a side; a side that is 0 follows from the other and the old aspect ratio."""
    if width == 0:
        height = max(least, height)
        return max(least, round(old_width * height / old_height)), height
    if height == 0:
        width = max(least, width)
        return width, max(least, round(old_height * width / old_width))
    return max(least, width), max(least, height)
