"""Hypernetworks on models: small networks that change what keys and values of attention are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from comfykit.errors import ModelFileError
from comfykit.families.components import DiffusionModel
from comfykit.models.hooks import AttentionInfo
from comfykit.weights.hypernetwork import Hypernetwork, Stage

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "leakyrelu": F.leaky_relu,
    "elu": F.elu,
    "swish": F.hardswish,
    "hardswish": F.hardswish,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "gelu": F.gelu,
    "mish": F.mish,
    "selu": F.selu,
    "celu": F.celu,
    "softsign": F.softsign,
    "softplus": F.softplus,
    "relu6": F.relu6,
    "hardtanh": F.hardtanh,
    "hardsigmoid": F.hardsigmoid,
    "logsigmoid": F.logsigmoid,
    "tanhshrink": F.tanhshrink,
    "softshrink": F.softshrink,
    "hardshrink": F.hardshrink,
}


def add_hypernetwork(model: DiffusionModel, network: Hypernetwork, strength: float) -> DiffusionModel:
    """The model with a hypernetwork on both attentions of its transformers.

    Raises `ModelFileError` for an activation that nobody knows.
    """
    if network.activation is not None and network.activation not in ACTIVATIONS:
        raise ModelFileError(
            f"the hypernetwork has the activation {network.activation!r}, which is none of "
            + ", ".join(ACTIVATIONS)
        )
    hook = HypernetworkHook(network, strength)
    return replace(model, hooks=model.hooks.with_inputs("attn1", hook).with_inputs("attn2", hook))


@dataclass(frozen=True, slots=True, eq=False)
class HypernetworkHook:
    """Adds `strength` times what the networks make of them to keys' and values' inputs.

    Where no network has their width they stay. `_placed` keeps the layers on the device and in the type
    that they were last needed in.
    """

    network: Hypernetwork
    strength: float
    _placed: dict[tuple[int, int], list[Stage]] = field(default_factory=dict)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, info: AttentionInfo) -> tuple[Tensor, Tensor, Tensor]:
        """Shapes stay."""
        width = k.shape[-1]
        if width not in self.network.by_width:
            return q, k, v
        return q, k + self.strength * self._run(width, 0, k), v + self.strength * self._run(width, 1, v)

    def _run(self, width: int, which: int, x: Tensor) -> Tensor:
        activation = None if self.network.activation is None else ACTIVATIONS[self.network.activation]
        stages = self._stages(width, which, x)
        for number, stage in enumerate(stages):
            x = F.linear(x, stage.weight, stage.bias)
            if activation is not None and (self.network.activate_output or number < len(stages) - 1):
                x = activation(x)
            if stage.norm is not None:
                x = F.layer_norm(x, x.shape[-1:], *stage.norm)
        return x

    def _stages(self, width: int, which: int, x: Tensor) -> Sequence[Stage]:
        found = self._placed.get((width, which))
        if found is None or found[0].weight.device != x.device or found[0].weight.dtype != x.dtype:
            found = [_like(stage, x) for stage in self.network.by_width[width][which]]
            self._placed[width, which] = found
        return found


def _like(stage: Stage, x: Tensor) -> Stage:
    """The layer on x's device and in its type."""
    norm = None if stage.norm is None else (stage.norm[0].to(x), stage.norm[1].to(x))
    return Stage(stage.weight.to(x), None if stage.bias is None else stage.bias.to(x), norm)
