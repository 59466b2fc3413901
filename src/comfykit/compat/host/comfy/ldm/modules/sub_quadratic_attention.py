"""`comfy.ldm.modules.sub_quadratic_attention`: attention under a name of its own."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F


def efficient_dot_product_attention(query: Tensor, key_t: Tensor, value: Tensor, **options: Any) -> Tensor:
    """Attention of [batch * heads, tokens, width], the keys transposed."""
    return F.scaled_dot_product_attention(query, key_t.transpose(1, 2), value, attn_mask=options.get("mask"))
