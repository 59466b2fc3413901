"""Hypernetworks as the web UI that invented them saves them: a `.pt` file of one mapping.

By width of the vectors, two networks: for what keys and for what values are made of. Of the rest, which
describes them, `activation_func` and `activate_output` are needed: other things are in the tensors'
shapes, or matter in training only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.weights.read import open_pickle

# Before networks could have any number of layers, their two were called so.
_OLD_NAMES = {"linear1": "linear.0", "linear2": "linear.1"}
_LAYER = re.compile(r"linear\.(\d+)\.(weight|bias)")


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A linear layer: weight [out, in] and bias; then, perhaps, weight and bias [out] of a layer norm."""

    weight: Tensor
    bias: Tensor | None
    norm: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Hypernetwork:
    """Networks for keys and values by width, and what they share.

    `activation` is a name, None for none; with `activate_output` the last layer has it too.
    """

    by_width: Mapping[int, tuple[tuple[Stage, ...], tuple[Stage, ...]]]
    activation: str | None
    activate_output: bool


def load_hypernetwork(path: Path) -> Hypernetwork:
    """Open a hypernetwork.

    Raises `ModelFileError` for a file that holds something else, and for one that would need code to run.
    """
    content = open_pickle(path)
    try:
        by_width = {
            width: (_stages(networks[0]), _stages(networks[1]))
            for width, networks in content.items()
            if isinstance(width, int) and isinstance(networks, list | tuple)
        }
    except (IndexError, KeyError, AttributeError, TypeError) as error:
        raise ModelFileError(f"{path}: a hypernetwork whose layers are not as they should be") from error
    if not by_width:
        raise ModelFileError(
            f"{path}: no hypernetwork in it", hint="it belongs in another folder than models/hypernetworks"
        )
    activation = content.get("activation_func")
    return Hypernetwork(
        by_width,
        activation=None if activation in (None, "linear") else str(activation),
        activate_output=bool(content.get("activate_output", True)),
    )


def _stages(state: Mapping[str, Any]) -> tuple[Stage, ...]:
    """The layers of one network, told apart by the dimensions of their weights."""
    layers: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        first, _, rest = name.partition(".")
        found = _LAYER.fullmatch(f"{_OLD_NAMES.get(first, first)}.{rest}")
        if found is not None:
            layers.setdefault(int(found[1]), {})[found[2]] = tensor
    stages: list[Stage] = []
    for _, layer in sorted(layers.items()):
        if layer["weight"].ndim == 2:
            stages.append(Stage(layer["weight"], layer.get("bias")))
        else:
            last = stages.pop()
            stages.append(Stage(last.weight, last.bias, (layer["weight"], layer["bias"])))
    if not stages:
        raise KeyError("no layers")
    return tuple(stages)
