"""What takes the place of attention for guidance by perturbation, and what looks at its maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from comfykit.models.attention import attention
from comfykit.models.hooks import AttentionInfo, UNetHooks


def with_identity_in_middle(hooks: UNetHooks) -> UNetHooks:
    """Hooks under which every token of the middle block attends to itself alone."""
    return hooks.with_replaced("attn1", ("middle", 0, None), identity_attention)


def identity_attention(q: Tensor, k: Tensor, v: Tensor, info: AttentionInfo) -> Tensor:
    """Attention whose map is the identity: the values."""
    return v


Note: TypeAlias = Callable[[Tensor, AttentionInfo], None]
"""Is told a map of attention [B, heads, T, T], float32, and where it is from."""


def with_map_noted(hooks: UNetHooks, side: int, note: Note) -> UNetHooks:
    """Hooks that tell the first map of self-attention in the middle block, for one side of guidance."""
    return hooks.with_replaced("attn1", ("middle", 0, 0), _Noting(side, note))


@dataclass(frozen=True, slots=True, eq=False)
class _Noting:
    """Attention as it is, and its map told."""

    side: int
    note: Note

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, info: AttentionInfo) -> Tensor:
        rows = info.rows_of(self.side)
        if rows is not None and info.has_pixels(q) and info.has_pixels(k):
            self.note(attention_map(q[rows], k[rows], info.heads), info)
        return attention(q, k, v, info.heads)


def attention_map(q: Tensor, k: Tensor, heads: int) -> Tensor:
    """softmax(q k^T / sqrt(D)): q [B, T, H*D], k [B, S, H*D] -> [B, H, T, S], in float32."""
    queries, keys = (x.float().reshape(*x.shape[:2], heads, -1).transpose(1, 2) for x in (q, k))
    scale = float(queries.shape[-1]) ** -0.5
    logits: Tensor = queries @ keys.transpose(-2, -1) * scale
    return logits.softmax(dim=-1)
