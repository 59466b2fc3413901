"""Captions as token ids, in a vocabulary of the few words that captions have.

CLIP's vocabulary has 49,408 tokens and captions use a hundred of them: networks learn a short table of
vectors, which `full_table` spreads over the whole vocabulary, zero elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random

import torch
from torch import Tensor

from captions import caption
from comfykit.text.chunks import CHUNK_LENGTH
from comfykit.text.tokenizer import CLIP_L
from scenes import random_scene

VOCABULARY = 49408


@dataclass(frozen=True, slots=True)
class Words:
    """The tokens that captions use; `rows` maps a token's id to its row in the short table."""

    ids: tuple[int, ...]
    rows: dict[int, int]

    def encode(self, texts: list[str]) -> Tensor:
        """Rows of the short table [B, 77] of captions, framed and padded as CLIP's are."""
        return torch.tensor([self._framed(text) for text in texts])

    def _framed(self, text: str) -> list[int]:
        ids = [CLIP_L.start, *CLIP_L.ids(text), CLIP_L.end]
        ids += [CLIP_L.pad] * (CHUNK_LENGTH - len(ids))
        return [self.rows[token] for token in ids]

    def full_table(self, table: Tensor) -> Tensor:
        """The short table [words, width] as one of the whole vocabulary."""
        full = table.new_zeros(VOCABULARY, table.shape[1])
        full[list(self.ids)] = table
        return full


@cache
def words_of_captions() -> Words:
    """Every token that occurs in captions."""
    random = Random("words")
    seen = {CLIP_L.start, CLIP_L.end}
    for _ in range(20_000):
        seen.update(CLIP_L.ids(caption(random_scene(random), random)))
    ids = tuple(sorted(seen))
    return Words(ids, {token: row for row, token in enumerate(ids)})
