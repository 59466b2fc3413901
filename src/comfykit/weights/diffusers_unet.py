"""U-Nets in the layout of diffusers, by rule to the names that checkpoints have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from comfykit.models.unet import UNetConfig
from comfykit.weights.diffusers_names import checkpoint_names

SIGN = "up_blocks.0.resnets.0.conv1.weight"
"""A tensor that only U-Nets in this layout have."""

# unCLIP models are told of pictures by what others call a class; checkpoints have one name for all of it.
_TOLD = {f"class_embedding.linear_{i}": f"add_embedding.linear_{i}" for i in (1, 2)}


def in_checkpoint_layout(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a U-Net of diffusers under the names that checkpoints have; unknown ones keep theirs."""
    split = {name: name.rpartition(".") for name in tensors}
    layers = {name: _TOLD.get(layer, layer) for name, (layer, _, _) in split.items()}
    known = checkpoint_names(set(layers.values()), blocks(tensors))
    return {
        f"{known.get(layers[name], layers[name])}.{split[name][2]}": tensor
        for name, tensor in tensors.items()
    }


def blocks(names: Iterable[str]) -> UNetConfig:
    """How many residual blocks each level has, and which of them on the way up transformers follow.

    The rest of the configuration is not that of the network.
    """
    listed = list(names)
    down = _found(r"down_blocks\.(\d{1,2})\.resnets\.(\d{1,2})\.", listed)
    up = _found(r"up_blocks\.(\d{1,2})\.resnets\.(\d{1,2})\.", listed)
    attending = _found(r"up_blocks\.(\d{1,2})\.attentions\.(\d{1,2})\.", listed)
    levels = 1 + max((level for level, _ in down), default=-1)
    return UNetConfig(
        num_res_blocks=tuple(sum(at == level for at, _ in down) for level in range(levels)),
        output_depths=tuple(int(place in attending) for place in sorted(up)),
    )


def _found(pattern: str, names: Iterable[str]) -> set[tuple[int, int]]:
    return {(int(match[1]), int(match[2])) for name in names if (match := re.match(pattern, name))}
