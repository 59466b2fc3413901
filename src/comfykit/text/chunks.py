"""Prompts as an encoder takes them: chunks of one length, each framed by a start and an end token.

An encoder of 77 positions reads 75 tokens at a time; a longer prompt becomes several chunks. A phrase
is a run of text of one weight, or the vectors of one textual inversion ("An Image is Worth One Word",
Gal et al. 2022), which `embedding:name` puts in place of tokens. One of fewer than `LONG_PHRASE` tokens
is not split between two chunks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from comfykit.text.prompt import parse_weights
from comfykit.text.tokenizer import CLIP_L, ClipTokenizer

if TYPE_CHECKING:
    from torch import Tensor

CHUNK_LENGTH = 77
LONG_PHRASE = 8

# A name ends at whitespace; commas behind it belong to the prompt.
EMBEDDING = re.compile(r"(?:^|(?<=[ \n]))embedding:(\S*[^\s,])")


@dataclass(frozen=True, slots=True, eq=False)
class Token:
    """One position of a chunk: an id or, of a textual inversion, a vector [width]; and its weight."""

    value: int | Tensor
    weight: float = 1.0


Chunk: TypeAlias = tuple[Token, ...]
FindEmbedding: TypeAlias = Callable[[str], "Tensor | None"]


def no_embeddings(name: str) -> None:
    """Knows no textual inversion."""


def tokenize(
    prompt: str,
    tokenizer: ClipTokenizer = CLIP_L,
    find_embedding: FindEmbedding = no_embeddings,
) -> list[Chunk]:
    """Chunks of a prompt, at least one, each of `CHUNK_LENGTH` tokens.

    `find_embedding` gives the vectors [n, width] of a textual inversion, or None where there is none;
    such a name is left out.
    """
    return framed(phrases(prompt, tokenizer, find_embedding), tokenizer)


def framed(phrases: Iterable[list[Token]], tokenizer: ClipTokenizer = CLIP_L) -> list[Chunk]:
    """Chunks of phrases, in order; the tokens of phrases are the very objects that were given."""
    return [_frame(tokens, tokenizer) for tokens in _pack(phrases, CHUNK_LENGTH - 2)]


def empty_chunk(tokenizer: ClipTokenizer) -> Chunk:
    """The chunk of an empty prompt."""
    return _frame([], tokenizer)


def phrases(
    prompt: str, tokenizer: ClipTokenizer = CLIP_L, find_embedding: FindEmbedding = no_embeddings
) -> Iterator[list[Token]]:
    """The phrases of a prompt."""
    for run in parse_weights(prompt):
        # Splitting at a pattern with one group gives text, name, text, name, ..., text.
        for i, part in enumerate(EMBEDDING.split(run.text)):
            values = _vectors(find_embedding(part)) if i % 2 else tokenizer.ids(part)
            yield [Token(value, run.weight) for value in values]


def _vectors(found: Tensor | None) -> Iterable[Tensor]:
    return () if found is None else found


def _pack(phrases: Iterable[list[Token]], room: int) -> list[list[Token]]:
    """Fill chunks of `room` tokens with phrases, in order."""
    chunks: list[list[Token]] = [[]]
    for phrase in phrases:
        rest = phrase
        while len(chunks[-1]) + len(rest) > room:
            if len(rest) >= LONG_PHRASE:
                left = room - len(chunks[-1])
                chunks[-1] += rest[:left]
                rest = rest[left:]
            chunks.append([])
        chunks[-1] += rest
    return chunks


def _frame(tokens: list[Token], tokenizer: ClipTokenizer) -> Chunk:
    padding = CHUNK_LENGTH - 2 - len(tokens)
    return (Token(tokenizer.start), *tokens, Token(tokenizer.end), *[Token(tokenizer.pad)] * padding)
