"""`comfy_extras.chainner_models.model_loading`: an upscaler of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from comfykit.families.upscalers import Upscaler
from comfykit.models.esrgan import RRDBNet
from comfykit.weights.load import build
from comfykit.weights.upscaler_layout import esrgan_tensors, rrdbnet_config


def load_state_dict(state_dict: Mapping[str, Tensor], *further: Any) -> Upscaler:
    """The upscaler whose tensors these are."""
    tensors = esrgan_tensors(dict(state_dict))
    config = rrdbnet_config({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    return Upscaler(build(lambda: RRDBNet(config), tensors, what="the given upscaler"))
