"""`comfy.ldm.flux.layers`: names of a network that comfykit does not have, and small functions of it.

The functions are those of black-forest-labs/flux (`modules/layers.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from comfykit.compat.absent import classes
from comfykit.compat.host.comfy.ldm.flux.math import attention
from comfykit.models.layers import timestep_embedding as embed

__all__ = ["ModulationOut", "apply_mod", "attention", "timestep_embedding"]

globals().update(
    classes(
        __name__,
        "DoubleStreamBlock SingleStreamBlock EmbedND MLPEmbedder QKNorm RMSNorm SelfAttention Modulation",
    )
)


@dataclass
class ModulationOut:
    """Shift, scale and gate of a block."""

    shift: Tensor
    scale: Tensor
    gate: Tensor


def timestep_embedding(t: Tensor, dim: int, max_period: float = 10000, time_factor: float = 1000.0) -> Tensor:
    """Sinusoids of times 0 to 1 [batch] -> [batch, dim]."""
    return embed(time_factor * t, dim, max_period).to(t if torch.is_floating_point(t) else torch.float32)


def apply_mod(tensor: Tensor, m_mult: Any, m_add: Any = None, modulation_dims: Any = None) -> Tensor:
    """The tensor times a factor and, where there is one, plus a summand; by spans of tokens."""
    if modulation_dims is None:
        scaled: Tensor = tensor * m_mult
        return scaled if m_add is None else scaled + m_add
    found = tensor.clone()
    for start, end, index in modulation_dims:
        found[:, start:end] *= m_mult[:, index]
        if m_add is not None:
            found[:, start:end] += m_add[:, index]
    return found
