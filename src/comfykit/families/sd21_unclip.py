"""Stable unCLIP 2.1: Stable Diffusion 2.1, told by a vector what pictures show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from comfykit.families.family import Scene
from comfykit.families.sd21 import SD21
from comfykit.families.unclip import image_vector


def model_inputs(options: Mapping[str, Any], side: int, scene: Scene) -> Mapping[str, Tensor]:
    """`y`: pictures, see `families.unclip`; zeros where the conditioning has none."""
    width = scene.config.adm_in_channels or 0
    pictures = options.get("unclip_conditioning")
    return {"y": image_vector(pictures, width // 2, scene.seed) if pictures else torch.zeros(1, width)}


SD21_UNCLIP = replace(SD21, name="sd21_unclip", title="Stable unCLIP 2.1", model_inputs=model_inputs)
