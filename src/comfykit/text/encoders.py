"""The text encoders of a model behind one interface: prompts in, one conditioning out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import nn

from comfykit.text.chunks import Chunk, FindEmbedding, empty_chunk, no_embeddings, tokenize
from comfykit.text.clip import ClipEncoder, EncodedPrompt

Prompts: TypeAlias = str | Mapping[str, str]
"""One prompt for all encoders, or one for each by its slot; encoders that have none get an empty one."""

Embeddings: TypeAlias = Callable[[str, int], FindEmbedding]
"""The textual inversions that fit an encoder: (its slot, the width of its tokens' vectors)."""


def without_embeddings(slot: str, width: int) -> FindEmbedding:
    """Knows no textual inversions."""
    return no_embeddings


class PromptEncoder(Protocol):
    """All that a model needs to encode a prompt. Its networks must be on one device while it does."""

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The networks by slot: `clip_l`, `clip_g`, ..., in the order in which LoRA count them."""
        ...

    def encode(
        self, prompts: Prompts, embeddings: Embeddings = without_embeddings, layer: int | None = None
    ) -> EncodedPrompt:
        """Embed prompts; `layer` overrides the layer at which the family reads its encoders."""
        ...


@dataclass(frozen=True, slots=True)
class ClipEncoders:
    """One or several CLIP encoders: vectors of a token side by side, pooled by the last encoder.

    "SDXL" (Podell et al. 2023), section 2.1.
    """

    encoders: tuple[ClipEncoder, ...]

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The networks by slot, in the order of their vectors."""
        return {encoder.slot: encoder.network for encoder in self.encoders}

    def encode(
        self, prompts: Prompts, embeddings: Embeddings = without_embeddings, layer: int | None = None
    ) -> EncodedPrompt:
        """Embed prompts in float32 on the device of the networks.

        Where encoders have prompts of their own, the shorter are filled up with empty chunks. One prompt can
        differ in length between them only by textual inversions, and is cut to the shortest.
        """
        chunked = [(encoder, _chunks(encoder, prompts, embeddings)) for encoder in self.encoders]
        if not isinstance(prompts, str):
            longest = max(len(chunks) for _, chunks in chunked)
            chunked = [(encoder, _filled(chunks, encoder, longest)) for encoder, chunks in chunked]
        encoded = [encoder.encode(chunks, layer=layer) for encoder, chunks in chunked]
        tokens = min(one.embedding.shape[1] for one in encoded)
        joined = torch.cat([one.embedding[:, :tokens] for one in encoded], dim=-1)
        return EncodedPrompt(joined, encoded[-1].pooled)


def _chunks(encoder: ClipEncoder, prompts: Prompts, embeddings: Embeddings) -> list[Chunk]:
    prompt = prompts if isinstance(prompts, str) else prompts.get(encoder.slot, "")
    return tokenize(prompt, encoder.tokenizer, embeddings(encoder.slot, encoder.width))


def _filled(chunks: list[Chunk], encoder: ClipEncoder, count: int) -> list[Chunk]:
    return chunks + [empty_chunk(encoder.tokenizer)] * (count - len(chunks))
