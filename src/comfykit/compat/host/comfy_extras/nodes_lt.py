"""`comfy_extras.nodes_lt`: nodes of LTX-Video, which comfykit does not run, by name."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from comfykit.compat import absent
from comfykit.compat.extras import classes

globals().update(classes(__name__))
globals().update(
    absent.classes(
        __name__, "LTXVAddGuide LTXVCropGuides EmptyLTXVLatentVideo LTXVImgToVideo LTXVPreprocess", object
    )
)


def get_noise_mask(latent: dict[str, Any]) -> Tensor:
    """The mask of a video latent, or one of ones [batch, 1, frames, 1, 1]."""
    mask: Tensor | None = latent.get("noise_mask")
    samples: Tensor = latent["samples"]
    return torch.ones((samples.shape[0], 1, samples.shape[2], 1, 1)) if mask is None else mask.clone()
