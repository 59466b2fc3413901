"""`comfy.k_diffusion.utils`: small things of k-diffusion that packs use."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor


def append_dims(x: Tensor, target_dims: int) -> Tensor:
    """The tensor with axes of length 1 at its end."""
    return x.reshape(*x.shape, *(1,) * (target_dims - x.ndim))


class FolderOfImages:
    """What counts as a picture by its suffix."""

    IMG_EXTENSIONS: ClassVar[set[str]] = {
        ".jpg",
        ".jpeg",
        ".png",
        ".ppm",
        ".bmp",
        ".pgm",
        ".tif",
        ".tiff",
        ".webp",
    }
