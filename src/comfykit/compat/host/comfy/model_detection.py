"""`comfy.model_detection`: which kind of model tensors are of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from comfykit.compat.host.comfy import supported_models, supported_models_base
from comfykit.compat.host.comfy.supported_models import unet_config
from comfykit.errors import ModelFileError
from comfykit.weights.layouts import unet_config as read_unet_config

_PREFIXES = ("model.diffusion_model.", "model.model.", "net.")


def unet_prefix_from_state_dict(state_dict: Mapping[str, Any]) -> str:
    """What the names of a diffusion model's tensors begin with."""
    counts = {prefix: sum(name.startswith(prefix) for name in state_dict) for prefix in _PREFIXES}
    best = max(counts, key=lambda prefix: counts[prefix])
    return best if counts[best] > 5 else "model."


def count_blocks(state_dict_keys: Any, prefix_string: str) -> int:
    """How many blocks there are, whose names are the prefix with numbers from 0."""
    count = 0
    while any(name.startswith(prefix_string.format(count)) for name in state_dict_keys):
        count += 1
    return count


def detect_unet_config(state_dict: Mapping[str, Tensor], key_prefix: str, metadata: Any = None) -> Any:
    """The shape of a U-Net; None where the tensors are of none."""
    shapes = {
        name.removeprefix(key_prefix): tuple(tensor.shape)
        for name, tensor in state_dict.items()
        if name.startswith(key_prefix)
    }
    try:
        return unet_config(read_unet_config(shapes))
    except (ModelFileError, KeyError):
        return None


def model_config_from_unet_config(config: Mapping[str, Any], state_dict: Any = None) -> Any:
    """The kind of model of a configuration; None for others."""
    told = dict(config)
    for kind in supported_models.models:
        if kind.matches(told, state_dict):
            return kind(told)
    return None


def model_config_from_unet(
    state_dict: Mapping[str, Tensor],
    unet_key_prefix: str,
    use_base_if_no_match: bool = False,
    metadata: Any = None,
) -> Any:
    """The kind of model of tensors; None for others."""
    config = detect_unet_config(state_dict, unet_key_prefix)
    if config is None:
        return None
    found = model_config_from_unet_config(config)
    if found is None and use_base_if_no_match:
        return supported_models_base.BASE(config)
    return found


def convert_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as it is: ours are of one form."""
    return dict(config)


def unet_config_from_diffusers_unet(state_dict: Mapping[str, Tensor], dtype: Any = None) -> Any:
    """The shape of a U-Net in diffusers' layout; None where the tensors are of none."""
    from comfykit.weights import diffusers_unet

    if diffusers_unet.SIGN not in state_dict:
        return None
    tensors = diffusers_unet.in_checkpoint_layout(dict(state_dict))
    return detect_unet_config(tensors, "model.diffusion_model.") or detect_unet_config(tensors, "")
