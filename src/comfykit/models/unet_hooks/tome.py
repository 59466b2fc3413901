"""Token merging: queries of self-attention that resemble others are merged into them for the while.

"Token Merging for Fast Stable Diffusion", arXiv 2303.17604. Only attention at the full size of the latent is
touched, where most of the time goes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from comfykit.models.hooks import AttentionInfo, UNetHooks

STRIDE = 2  # one token in each square of this side is one that others are merged into


def with_token_merging(hooks: UNetHooks, ratio: float) -> UNetHooks:
    """Hooks that merge the given part of the queries."""
    merging = TokenMerging(ratio)
    return hooks.with_inputs("attn1", merging.merge).with_outputs("attn1", merging.unmerge)


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """Which tokens go where: indices [B, count] of tokens kept, merged, and what these are merged into.

    `places` are the tokens of `into` that each merged one goes to, as indices into `into`.
    """

    kept: Tensor
    merged: Tensor
    into: Tensor
    places: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class TokenMerging:
    """Merges queries before an attention and takes them apart after it.

    `_matching` holds the matching between both, which are called one after the other.
    """

    ratio: float
    _matching: list[Matching] = field(default_factory=list)

    def merge(self, q: Tensor, k: Tensor, v: Tensor, info: AttentionInfo) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [B, T, C] -> [B, T - merged, C]; keys and values stay."""
        finest = info.size == info.latent_size and info.has_pixels(q)
        count = int(q.shape[1] * self.ratio) if finest else 0
        self._matching[:] = [match_tokens(q, info.size, count)] if count > 0 else []
        return (merged(q, self._matching[0]) if self._matching else q), k, v

    def unmerge(self, out: Tensor, info: AttentionInfo) -> Tensor:
        """[B, T - merged, C] -> [B, T, C]: merged tokens get what their common one got."""
        return unmerged(out, self._matching.pop()) if self._matching else out


def match_tokens(x: Tensor, size: tuple[int, int], count: int) -> Matching:
    """Find the tokens of x [B, T, C], which are the pixels of `size`, that resemble one of the others most.

    One token of each 2 x 2 square, drawn at random, is one to merge into; `count` of the rest are merged.
    """
    destinations, sources = (part.to(x.device) for part in drawn_split(size))
    directions = x / x.norm(dim=-1, keepdim=True)
    alike = directions[:, sources] @ directions[:, destinations].transpose(1, 2)
    best, place = alike.max(dim=-1)
    order = best.argsort(dim=-1, descending=True)
    count = min(count, len(sources))
    merged_order, kept_order = order[:, :count], order[:, count:]
    into = destinations.expand(len(x), -1)
    return Matching(
        kept=sources[kept_order],
        merged=sources[merged_order],
        into=into,
        places=place.gather(1, merged_order),
    )


def drawn_split(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Indices of the tokens to merge into and of the others, drawn from the CPU's global generator."""
    height, width = size
    rows, columns = height // STRIDE, width // STRIDE
    drawn = torch.randint(STRIDE * STRIDE, size=(rows, columns, 1))
    square = torch.zeros(rows, columns, STRIDE * STRIDE, dtype=torch.int64).scatter_(2, drawn, -1)
    marks = torch.zeros(height, width, dtype=torch.int64)
    marks[: rows * STRIDE, : columns * STRIDE] = (
        square.reshape(rows, columns, STRIDE, STRIDE).transpose(1, 2).reshape(rows * STRIDE, columns * STRIDE)
    )
    order = marks.flatten().argsort()
    return order[: rows * columns], order[rows * columns :]


def merged(x: Tensor, matching: Matching) -> Tensor:
    """Kept tokens of x [B, T, C], then those merged into, as means with what went into them."""
    into = _tokens(x, matching.into)
    places = _wide(matching.places, x.shape[-1])
    means = into.scatter_reduce(1, places, _tokens(x, matching.merged), reduce="mean")
    return torch.cat((_tokens(x, matching.kept), means), dim=1)


def unmerged(x: Tensor, matching: Matching) -> Tensor:
    """What was one token again as many as went into it, each token where it was."""
    width, kept = x.shape[-1], matching.kept.shape[1]
    into = x[:, kept:]
    parts: list[tuple[Tensor, Any]] = [
        (matching.into, into),
        (matching.kept, x[:, :kept]),
        (matching.merged, _tokens(into, matching.places)),
    ]
    out = x.new_zeros(x.shape[0], sum(index.shape[1] for index, _ in parts), width)
    for index, tokens in parts:
        out.scatter_(1, _wide(index, width), tokens)
    return out


def _tokens(x: Tensor, index: Tensor) -> Tensor:
    return x.gather(1, _wide(index, x.shape[-1]))


def _wide(index: Tensor, width: int) -> Tensor:
    return index.unsqueeze(-1).expand(-1, -1, width)
