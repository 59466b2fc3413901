"""Attention and the transformers that the U-Nets hang between their residual blocks."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from comfykit.models.hooks import HookedBlock, HookedTransformer
from comfykit.models.layers import GROUPS


def attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Multi-head attention: q [B, T, H*D], k and v [B, S, H*D] -> [B, T, H*D].

    `softmax(q k^T / sqrt(D)) v` for every head ("Attention Is All You Need", equation 1).
    """
    q, k, v = (x.reshape(*x.shape[:2], heads, -1).transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class CrossAttention(nn.Module):
    """Attention from x [B, T, channels] to a context [B, S, context_dim], or to x itself."""

    def __init__(self, channels: int, context_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context_dim, channels, bias=False)
        self.to_v = nn.Linear(context_dim, channels, bias=False)
        self.to_out = nn.Sequential(nn.Linear(channels, channels))

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        values: Tensor | None = None,
        attend: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Attend to `context`; to `x` where there is none.

        `values` may differ from the context, and `attend` may take the place of attention between the
        projections.
        """
        context = x if context is None else context
        q, k, v = self.to_q(x), self.to_k(context), self.to_v(context if values is None else values)
        out: Tensor = self.to_out(attention(q, k, v, self.heads) if attend is None else attend(q, k, v))
        return out


class GEGLU(nn.Module):
    """`x W * gelu(x V)`: "GLU Variants Improve Transformer" (Shazeer 2020), equation 6."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, 2 * inner)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, channels] -> [B, T, inner]; W is the first half of the weight, V the second."""
        value, gate = self.proj(x).chunk(2, dim=-1)
        gated: Tensor = value * F.gelu(gate)
        return gated


class FeedForward(nn.Module):
    """Gated layer four times as wide, and back: [B, T, channels] -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = 4 * channels
        self.net = nn.Sequential(GEGLU(channels, inner), nn.Identity(), nn.Linear(inner, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Every token by itself."""
        out: Tensor = self.net(x)
        return out


class TransformerBlock(nn.Module):
    """Attention of x [B, T, channels] to itself, to a context [B, S, context_dim], then the feed-forward."""

    def __init__(self, channels: int, context_dim: int, heads: int) -> None:
        super().__init__()
        self.attn1 = CrossAttention(channels, channels, heads)
        self.ff = FeedForward(channels)
        self.attn2 = CrossAttention(channels, context_dim, heads)
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.norm3 = nn.LayerNorm(channels)

    def forward(self, x: Tensor, context: Tensor, hooked: HookedTransformer | None = None) -> Tensor:
        """Three residual steps, each on its own layer norm."""
        if hooked is None:
            x = x + self.attn1(self.norm1(x))
            x = x + self.attn2(self.norm2(x), context)
        else:
            x = hooked.between(x + hooked.self_attention(self.attn1, self.norm1(x)))
            x = x + hooked.cross_attention(self.attn2, self.norm2(x), context)
        out: Tensor = x + self.ff(self.norm3(x))
        return out


class PixelLinear(nn.Conv2d):
    """A linear layer whose weight is stored as that of a 1x1 convolution: [B, T, in] -> [B, T, out]."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Every token by itself."""
        return F.linear(x, self.weight.flatten(1), self.bias)


class SpatialTransformer(nn.Module):
    """Transformer blocks over the pixels of an image: [B, channels, H, W] -> the same.

    `use_linear` says how the weights of the projections around the blocks are stored: as linear
    layers (SD 2.x, SDXL) or as 1x1 convolutions (SD 1.x).
    """

    def __init__(self, channels: int, context_dim: int, heads: int, depth: int, *, use_linear: bool) -> None:
        super().__init__()
        projection = nn.Linear if use_linear else PixelLinear
        self.heads = heads
        self.norm = nn.GroupNorm(GROUPS, channels, eps=1e-6)
        self.proj_in = projection(channels, channels)
        self.transformer_blocks = nn.ModuleList(
            TransformerBlock(channels, context_dim, heads) for _ in range(depth)
        )
        self.proj_out = projection(channels, channels)

    def forward(self, x: Tensor, context: Tensor, hooked: HookedBlock | None = None) -> Tensor:
        """Add what the blocks make of the pixels, taken row by row, to `x`."""
        _, channels, height, width = x.shape
        tokens: Tensor = self.norm(x).flatten(2).transpose(1, 2)
        tokens = self.proj_in(tokens)
        for index, block in enumerate(self.transformer_blocks):
            inside = hooked and hooked.transformer(index, self.heads, channels, (height, width))
            tokens = block(tokens, context, inside)
        tokens = self.proj_out(tokens)
        return x + tokens.transpose(1, 2).reshape(x.shape)
