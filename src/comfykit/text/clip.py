"""CLIP as a text encoder: chunks to the embeddings that a U-Net attends to.

Families read it at different layers, through the final layer norm or not; "clip skip" reads it at another
layer than the family's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.models.clip_text import Activation, ClipText, ClipTextConfig
from comfykit.text.chunks import Chunk, empty_chunk
from comfykit.text.tokenizer import CLIP_L, ClipTokenizer

CHANNELS_PER_HEAD = 64


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPrompt:
    """What an encoder makes of a prompt: an embedding [1, tokens, width] and a pooled vector [1, width]."""

    embedding: Tensor
    pooled: Tensor


def config_from_shapes(
    shapes: Mapping[str, Sequence[int]], *, activation: Activation = "quick_gelu"
) -> ClipTextConfig:
    """Read an encoder's widths from its tensors' shapes; names as in `ClipText`.

    The activation cannot be seen in them: `quick_gelu` for OpenAI's encoders, `gelu` for OpenCLIP's.
    Raises `ModelFileError` where a tensor is missing that tells a width.
    """
    try:
        vocabulary, width = shapes["embeddings.token_embedding.weight"]
        positions, _ = shapes["embeddings.position_embedding.weight"]
        mlp_width, _ = shapes["encoder.layers.0.mlp.fc1.weight"]
    except KeyError as missing:
        raise ModelFileError(f"the text encoder has no tensor {missing}", tensor=missing.args[0]) from missing
    layers = {int(name.split(".")[2]) for name in shapes if name.startswith("encoder.layers.")}
    heads = max(1, width // CHANNELS_PER_HEAD)
    projection = shapes.get("text_projection.weight")
    return ClipTextConfig(
        width,
        heads,
        len(layers),
        mlp_width,
        vocabulary,
        positions,
        activation,
        projection[0] if projection else None,
    )


def build_clip_text(
    tensors: Mapping[str, Tensor], config: ClipTextConfig, dtype: torch.dtype = torch.float16
) -> ClipText:
    """A text encoder over `tensors`, which are copied only where they are not of type `dtype`.

    ComfyUI keeps these weights in half precision whatever the file has, and so must an engine that is to
    give the same picture. Tensors that the network has no use for are passed over.

    Raises `ModelFileError` where one is missing.
    """
    with torch.device("meta"):
        network = ClipText(config)
    names = network.state_dict().keys()
    missing = sorted(names - tensors.keys())
    if missing:
        raise ModelFileError(
            f"the text encoder lacks {len(missing)} of its {len(names)} tensors, {missing[0]!r} among them",
            missing=missing,
        )
    network.load_state_dict({name: tensors[name].to(dtype) for name in names}, assign=True)
    return network.requires_grad_(False).eval()


@dataclass(frozen=True, slots=True)
class ClipEncoder:
    """A CLIP text encoder as a family reads it.

    `slot` is its name among the encoders of a model: `clip_l`, `clip_g` or `clip_h`. `layer` counts from the
    end: -1 is the last, -2 the one before it. `normed` says whether the final layer norm follows.
    """

    network: ClipText
    tokenizer: ClipTokenizer = CLIP_L
    slot: str = "clip_l"
    layer: int = -1
    normed: bool = True

    @property
    def width(self) -> int:
        """Length of a token's vector, which textual inversions must have."""
        return self.network.config.width

    def encode(self, chunks: Sequence[Chunk], *, layer: int | None = None) -> EncodedPrompt:
        """Embed the chunks of one prompt, at least one, in float32 on the network's device.

        `layer` overrides the encoder's own; one that the network does not have gives the last, normed. The
        pooled vector is that of the first chunk's first end token, always of the last layer.
        """
        weighted = any(token.weight != 1.0 for chunk in chunks for token in chunk)
        rows = [*chunks, empty_chunk(self.tokenizer)] if weighted else list(chunks)
        states = self.network(self._vectors(rows))
        hidden = self._read(states, self.layer if layer is None else layer)
        embedding = hidden[: len(chunks)]
        if weighted:
            embedding = weigh(embedding, hidden[-1], _weights(chunks).to(hidden))
        end = self._first_end(chunks[0])
        return EncodedPrompt(embedding.flatten(0, 1)[None], self.network.pool(states[-1][:1, end]))

    def _read(self, states: Sequence[Tensor], layer: int) -> Tensor:
        """The hidden states that the embedding is made of."""
        exists = -len(states) <= layer <= -1
        state = states[layer if exists else -1]
        if self.normed or not exists:
            normed: Tensor = self.network.final_layer_norm(state)
            return normed
        return state

    def _vectors(self, rows: Sequence[Chunk]) -> Tensor:
        """Vectors of the tokens [chunks, tokens, width]; those of textual inversions are put in place."""
        stand_in = self.tokenizer.pad
        ids = [[token.value if isinstance(token.value, int) else stand_in for token in row] for row in rows]
        vectors = self.network.embed(torch.tensor(ids, device=self.network.device))
        for i, row in enumerate(rows):
            for j, token in enumerate(row):
                if not isinstance(token.value, int):
                    vectors[i, j] = token.value.to(vectors)
        return vectors

    def _first_end(self, chunk: Chunk) -> int:
        """Position of the first end token; a chunk that `tokenize` made has one."""
        end = self.tokenizer.end
        return next(i for i, token in enumerate(chunk) if isinstance(token.value, int) and token.value == end)


def weigh(embedding: Tensor, empty: Tensor, weights: Tensor) -> Tensor:
    """`empty + weight * (embedding - empty)` for every token whose weight is not 1.

    embedding [chunks, tokens, width], empty [tokens, width] that of an empty prompt, weights
    [chunks, tokens].
    """
    weights = weights[..., None]
    return torch.where(weights == 1.0, embedding, empty + weights * (embedding - empty))


def _weights(chunks: Sequence[Chunk]) -> Tensor:
    return torch.tensor([[token.weight for token in chunk] for chunk in chunks])
