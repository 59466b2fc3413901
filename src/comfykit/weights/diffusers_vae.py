"""Autoencoders in the layout of diffusers, by rule to the names that checkpoints have.

diffusers (`AutoencoderKL`) counts the decoder's levels from the coarsest, and keeps the weights of its
attention as those of linear layers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

SIGN = "encoder.down_blocks.0.resnets.0.norm1.weight"
"""A tensor that only this layout has."""

_LEVEL = re.compile(
    r"(encoder|decoder)\.(down|up)_blocks\.(\d+)\.(resnets|downsamplers|upsamplers)\.(\d+)\.(.+)"
)
_MIDDLE = re.compile(r"(encoder|decoder)\.mid_block\.(resnets|attentions)\.(\d+)\.(.+)")
_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
    "query": "q",
    "key": "k",
    "value": "v",
    "proj_attn": "proj_out",
}
_PLACES = {"downsamplers": "downsample", "upsamplers": "upsample"}


def rename(names: Iterable[str]) -> dict[str, str]:
    """What checkpoints call an autoencoder's tensors, by diffusers' names; others keep theirs."""
    listed = list(names)
    found = [match for name in listed if (match := _LEVEL.fullmatch(name))]
    levels = 1 + max((int(match[3]) for match in found if match[2] == "up"), default=0)
    return {name: _renamed(name, levels) for name in listed}


def in_checkpoint_layout(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a diffusers file under the names, and in the shapes, that checkpoints have: views."""
    names = rename(tensors)
    return {names[name]: _unflattened(names[name], tensor) for name, tensor in tensors.items()}


def _unflattened(name: str, tensor: Tensor) -> Tensor:
    linear = ".attn_1." in name and tensor.ndim == 2
    return tensor[..., None, None] if linear else tensor


def _renamed(name: str, levels: int) -> str:
    level = _LEVEL.fullmatch(name)
    if level:
        side, way, number, place, index, rest = level.groups()
        number = number if way == "down" else str(levels - 1 - int(number))
        inner = f"block.{index}" if place == "resnets" else _PLACES[place]
        return f"{side}.{way}.{number}.{inner}.{_shortcut(rest)}"
    middle = _MIDDLE.fullmatch(name)
    if middle:
        side, place, index, rest = middle.groups()
        if place == "resnets":
            return f"{side}.mid.block_{int(index) + 1}.{_shortcut(rest)}"
        module, _, kind = rest.rpartition(".")
        return f"{side}.mid.attn_1.{_ATTENTION.get(module, module)}.{kind}"
    return name.replace(".conv_norm_out.", ".norm_out.")


def _shortcut(rest: str) -> str:
    return rest.replace("conv_shortcut", "nin_shortcut")
