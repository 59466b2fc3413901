"""`comfy.ldm.flux.math`: rotary positions as Flux has them (black-forest-labs/flux, `math.py`)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from comfykit.compat.host.comfy.ldm.modules.attention import optimized_attention


def rope(pos: Tensor, dim: int, theta: float) -> Tensor:
    """Positions [batch, n] -> rotations [batch, n, dim / 2, 2, 2]."""
    scale = torch.arange(0, dim, 2, dtype=torch.float64, device=pos.device) / dim
    angles = pos.to(torch.float64)[..., None] / theta**scale
    rows = torch.stack([angles.cos(), -angles.sin(), angles.sin(), angles.cos()], dim=-1)
    return rows.reshape(*rows.shape[:-1], 2, 2).float()


def apply_rope1(x: Tensor, freqs_cis: Tensor) -> Tensor:
    """Rotate pairs of channels."""
    pairs = x.to(freqs_cis.dtype).reshape(*x.shape[:-1], -1, 1, 2)
    turned = freqs_cis[..., 0] * pairs[..., 0] + freqs_cis[..., 1] * pairs[..., 1]
    return turned.reshape(x.shape).type_as(x)


def apply_rope(xq: Tensor, xk: Tensor, freqs_cis: Tensor) -> tuple[Tensor, Tensor]:
    """Rotate queries and keys."""
    return apply_rope1(xq, freqs_cis), apply_rope1(xk, freqs_cis)


def attention(
    q: Tensor, k: Tensor, v: Tensor, pe: Tensor | None, mask: Any = None, transformer_options: Any = None
) -> Tensor:
    """Attention [batch, heads, n, width] with rotary positions."""
    if pe is not None:
        q, k = apply_rope(q, k, pe)
    return optimized_attention(q, k, v, q.shape[1], skip_reshape=True, mask=mask)
