"""The style adapter of T2I-Adapter: what a vision encoder sees becomes a few tokens beside those of a prompt.

"T2I-Adapter" (Mou et al. 2023, arXiv 2302.08453); names of the parameters are those of the authors' file.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from comfykit.models.clip_text import quick_gelu

HEADS = 8


@dataclass(frozen=True, slots=True)
class StyleAdapterConfig:
    """The shape of a style adapter; the defaults are those of the published one.

    `width` is that of the vision encoder's tokens, `out` that of a prompt's; `tokens` are added to a prompt.
    """

    width: int = 1024
    out: int = 768
    layers: int = 3
    tokens: int = 8
    heads: int = HEADS


class StyleMLP(nn.Module):
    """Two layers with an activation between: [B, T, width] -> the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Every token by itself."""
        out: Tensor = self.c_proj(quick_gelu(self.c_fc(x)))
        return out


class StyleBlock(nn.Module):
    """Attention of all tokens to each other, then the MLP, each on its own layer norm and added to `x`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = StyleMLP(width)
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] -> the same."""
        seen = self.ln_1(x)
        x = x + self.attn(seen, seen, seen, need_weights=False)[0]
        out: Tensor = x + self.mlp(self.ln_2(x))
        return out


class StyleAdapter(nn.Module):
    """Tokens of pictures to tokens of their style."""

    def __init__(self, config: StyleAdapterConfig) -> None:
        super().__init__()
        self.config = config
        self.transformer_layes = nn.Sequential(  # as the file spells it
            *(StyleBlock(config.width, config.heads) for _ in range(config.layers))
        )
        self.style_embedding = nn.Parameter(torch.empty(1, config.tokens, config.width))
        self.ln_post = nn.LayerNorm(config.width)
        self.ln_pre = nn.LayerNorm(config.width)
        self.proj = nn.Parameter(torch.empty(config.width, config.out))

    def forward(self, x: Tensor) -> Tensor:
        """[B, tokens of a picture, width] -> [B, config.tokens, out]."""
        x = torch.cat((x, self.style_embedding.expand(x.shape[0], -1, -1)), dim=1)
        x = self.transformer_layes(self.ln_pre(x))
        out: Tensor = self.ln_post(x[:, -self.config.tokens :]) @ self.proj
        return out
