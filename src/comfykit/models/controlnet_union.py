"""What a ControlNet for several types of hints ("union") has beside an ordinary one.

ControlNet++ of xinsir6 (github.com/xinsir6/ControlNetPlus, Apache-2.0): the type is told to the residual
blocks with the timestep, and shifts the features of the hint by a vector that a small transformer makes
of their mean. Names of the parameters are those of the published files, spelling and all.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from comfykit.models.layers import timestep_embedding


@dataclass(frozen=True, slots=True)
class UnionConfig:
    """How many types of hints a network knows, how wide each is embedded, and how many `TaskBlock`s."""

    types: int = 6
    type_width: int = 256
    layers: int = 1


class SelfAttention(nn.Module):
    """Attention of a token to itself alone: the softmax over one is 1, so that the value is what it gives.

    The weights for queries and keys, the first two thirds of `in_proj_weight`, are in the files unused.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[N, width] -> the same; every row is a sequence of one token."""
        value = F.linear(x, self.in_proj_weight.chunk(3)[2], self.in_proj_bias.chunk(3)[2])
        out: Tensor = self.out_proj(value)
        return out


class MLP(nn.Module):
    """Two layers with CLIP's approximation of GELU between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[N, width] -> the same."""
        inner = self.c_fc(x)
        out: Tensor = self.c_proj(inner * torch.sigmoid(1.702 * inner))
        return out


class TaskBlock(nn.Module):
    """One layer of the transformer over a hint's mean: [N, width] -> the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = SelfAttention(width)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = MLP(width)
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Two residual steps, each on its own layer norm."""
        x = x + self.attn(self.ln_1(x))
        out: Tensor = x + self.mlp(self.ln_2(x))
        return out


class TypeEmbedding(nn.Module):
    """The type of a hint as a vector [1, emb] to add to that of the timestep."""

    def __init__(self, config: UnionConfig, emb_channels: int) -> None:
        super().__init__()
        self.types, self.type_width = config.types, config.type_width
        self.linear_1 = nn.Linear(config.types * config.type_width, emb_channels)
        self.linear_2 = nn.Linear(emb_channels, emb_channels)

    def forward(self, kind: int | None) -> Tensor:
        """Every type is told as a 1 or a 0, by the sinusoids of that number; all are 0 for None."""
        weight = self.linear_1.weight
        chosen = torch.zeros(self.types, device=weight.device)
        if kind is not None:
            chosen[kind] = 1.0
        sinusoids = timestep_embedding(chosen, self.type_width).reshape(1, -1)
        out: Tensor = self.linear_2(F.silu(self.linear_1(sinusoids.to(weight.dtype))))
        return out
