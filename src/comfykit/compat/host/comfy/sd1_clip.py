"""`comfy.sd1_clip`: CLIP text encoders and their tokenizers as packs see them.

Tokens are dicts of chunks by encoder (`l`, `g`, `h`), each chunk a list of (id or vector, weight) or, with
words, (id or vector, weight, number of the phrase).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from comfykit.compat import running
from comfykit.compat.modules import MissingAttribute, lacking
from comfykit.text.chunks import CHUNK_LENGTH, Token, framed, phrases
from comfykit.text.clip import ClipEncoder
from comfykit.text.embeddings import EmbeddingFolder
from comfykit.text.prompt import parse_weights
from comfykit.text.tokenizer import END, START, ClipTokenizer, _backend

Pair = tuple[Any, ...]
Chunks = list[list[Pair]]


def escape_important(text: str) -> str:
    r"""Text with `\(` and `\)` kept from being weights."""
    return text.replace("\\)", "\0\1").replace("\\(", "\0\2")


def unescape_important(text: str) -> str:
    """The parentheses back."""
    return text.replace("\0\1", ")").replace("\0\2", "(")


def parse_parentheses(string: str) -> list[str]:
    """Text in pieces: what stands in outermost parentheses, with them, and what is between."""
    found, depth, piece = [], 0, ""
    for letter in string:
        if letter == "(" and depth == 0:
            found.append(piece)
            piece = ""
        depth += {"(": 1, ")": -1}.get(letter, 0)
        depth = max(depth, -1)
        piece += letter
        if letter == ")" and depth == 0:
            found.append(piece)
            piece = ""
        depth = max(depth, 0)
    return [one for one in [*found, piece] if one]


def token_weights(string: str, current_weight: float) -> list[tuple[str, float]]:
    """Text in pieces with their weights, on top of a weight."""
    return [(run.text, run.weight * current_weight) for run in parse_weights(string)]


def gen_empty_tokens(special_tokens: Mapping[str, int], length: int) -> list[int]:
    """The ids of an empty prompt."""
    framing = [special_tokens[name] for name in ("start", "end") if special_tokens.get(name) is not None]
    return [*framing, *[special_tokens["pad"]] * (length - len(framing))]


class SDTokenizer:
    """The tokenizer of one encoder; `of` makes that of one of ours."""

    def __init__(
        self,
        tokenizer_path: Any = None,
        max_length: int = CHUNK_LENGTH,
        pad_with_end: bool = True,
        embedding_directory: Any = None,
        embedding_size: int = 768,
        embedding_key: str = "clip_l",
        **further: Any,
    ) -> None:
        if tokenizer_path is not None:
            raise MissingAttribute(str(lacking("comfy.sd1_clip", "SDTokenizer(tokenizer_path)")))
        self.start_token, self.end_token = START, END
        self.pad_with_end = pad_with_end
        self.pad_token = END if pad_with_end else 0
        self.max_length = max_length
        self.embedding_directory = embedding_directory
        self.embedding_size, self.embedding_key = embedding_size, embedding_key
        self.embedding_identifier = "embedding:"
        self.min_length: int | None = None
        self.tokens_start = 1
        self.engine = ClipTokenizer(self.pad_token)

    @classmethod
    def of(cls, encoder: ClipEncoder) -> SDTokenizer:
        """The tokenizer of an encoder of ours."""
        own = encoder.tokenizer
        return cls(pad_with_end=own.pad == own.end, embedding_size=encoder.width, embedding_key=encoder.slot)

    @property
    def tokenizer(self) -> Any:
        """Text to {"input_ids": [start, ..., end]}, as tokenizers of transformers give it."""
        return lambda text: {"input_ids": [self.start_token, *self.engine.ids(text), self.end_token]}

    @property
    def inv_vocab(self) -> dict[int, str]:
        """Words by id."""
        return {number: word for word, number in _backend().get_vocab().items()}

    def tokenize_with_weights(self, text: str, return_word_ids: bool = False, **further: Any) -> Chunks:
        """Chunks of a prompt."""
        find = EmbeddingFolder(running.settings().home, self.embedding_size, self.embedding_key)
        found = list(phrases(text, self.engine, find))
        numbers = {id(token): number for number, phrase in enumerate(found, 1) for token in phrase}

        def pair(token: Token) -> Pair:
            word = (numbers.get(id(token), 0),) if return_word_ids else ()
            return (token.value, token.weight, *word)

        return [[pair(token) for token in chunk] for chunk in framed(found, self.engine)]

    def untokenize(self, token_weight_pair: Sequence[Pair]) -> list[tuple[Pair, str]]:
        """The pairs with their words."""
        words = self.inv_vocab
        return [
            (pair, words.get(pair[0], "") if isinstance(pair[0], int) else "") for pair in token_weight_pair
        ]

    def state_dict(self) -> dict[str, Any]:
        """It has none."""
        return {}


class SD1Tokenizer:
    """The tokenizers of a model, by encoder."""

    def __init__(self, embedding_directory: Any = None, tokenizer_data: Any = None, **further: Any) -> None:
        self._own = {"clip_l": SDTokenizer(embedding_directory=embedding_directory)}
        self.__dict__.update(self._own)

    @classmethod
    def of(cls, encoders: Sequence[ClipEncoder]) -> Any:
        """Those of encoders of ours."""
        made: Any = cls.__new__(cls)
        # SDXL's tokens begin with those of its larger encoder.
        made._own = {one.slot: SDTokenizer.of(one) for one in sorted(encoders, key=lambda one: one.slot)}
        made.__dict__.update(made._own)
        made.clip = next(iter(made._own))
        return made

    def tokenize_with_weights(
        self, text: str, return_word_ids: bool = False, **further: Any
    ) -> dict[str, Chunks]:
        """Chunks of a prompt by encoder."""
        return {
            name.removeprefix("clip_"): getattr(self, name).tokenize_with_weights(
                text, return_word_ids, **further
            )
            for name in self._own
        }

    def untokenize(self, token_weight_pair: Sequence[Pair]) -> list[tuple[Pair, str]]:
        """The pairs with their words."""
        found: list[tuple[Pair, str]] = getattr(self, next(iter(self._own))).untokenize(token_weight_pair)
        return found

    def state_dict(self) -> dict[str, Any]:
        """It has none."""
        return {}


class _Transformer(nn.Module):
    """A text network by the names of transformers."""

    text_model: Any

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.text_model = network

    def get_input_embeddings(self) -> Any:
        """The table of vectors."""
        return self.text_model.embeddings.token_embedding

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As the network."""
        return self.text_model(*args, **kwargs)


class ClipTokenWeightEncoder:
    """Chunks of tokens with weights to an embedding; packs mix it in."""

    def encode_token_weights(self, token_weight_pairs: Chunks) -> tuple[Tensor, Tensor]:
        """The embedding [1, tokens, width] and the pooled vector [1, width]."""
        raise NotImplementedError


class SDClipModel(nn.Module, ClipTokenWeightEncoder):
    """One encoder; `of` makes one of ours."""

    engine: ClipEncoder
    layer: str
    layer_idx: int | None
    num_layers: int
    return_projected_pooled: bool
    LAYERS = ("last", "pooled", "hidden", "all")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        raise MissingAttribute(str(lacking("comfy.sd1_clip", f"{type(self).__name__}(...)")))

    @classmethod
    def of(cls, encoder: ClipEncoder) -> Any:
        """The view of an encoder of ours."""
        made: Any = cls.__new__(cls)
        nn.Module.__init__(made)
        made.engine = encoder
        made.transformer = _Transformer(encoder.network)
        made.num_layers = encoder.network.config.layers
        made.max_length = CHUNK_LENGTH
        own = encoder.tokenizer
        made.special_tokens = {"start": own.start, "end": own.end, "pad": own.pad}
        made.layer_norm_hidden_state = encoder.normed
        made.return_projected_pooled = True
        made.enable_attention_masks, made.zero_out_masked = False, False
        made.reset_clip_options()
        return made

    def reset_clip_options(self) -> None:
        """Read the layer that the family reads."""
        own = self.engine.layer
        self.layer, self.layer_idx = ("last", None) if own == -1 else ("hidden", own)

    def set_clip_options(self, options: Mapping[str, Any]) -> None:
        """Read another layer."""
        index = options.get("layer", self.layer_idx)
        self.return_projected_pooled = options.get("projected_pooled", self.return_projected_pooled)
        if index is None or abs(index) > self.num_layers:
            self.layer = "last"
        else:
            self.layer, self.layer_idx = "hidden", index

    def encode_token_weights(self, token_weight_pairs: Chunks) -> tuple[Tensor, Tensor]:
        """The embedding and the pooled vector of chunks."""
        chunks = [
            tuple(Token(_value(pair[0]), float(pair[1])) for pair in chunk) for chunk in token_weight_pairs
        ]
        found = self.engine.encode(chunks, layer=-1 if self.layer == "last" else self.layer_idx)
        return found.embedding.cpu(), found.pooled.cpu()

    def forward(self, tokens: Sequence[Sequence[Any]]) -> tuple[Tensor, Tensor]:
        """Hidden states [chunks, tokens, width] and the first chunk's pooled vector."""
        embedding, pooled = self.encode_token_weights([[(one, 1.0) for one in chunk] for chunk in tokens])
        return embedding.reshape(len(tokens), -1, embedding.shape[-1]), pooled

    def encode(self, tokens: Sequence[Sequence[Any]]) -> tuple[Tensor, Tensor]:
        """As `forward`."""
        return self(tokens)  # type: ignore[no-any-return]


def _value(token: Any) -> Any:
    """A token as ours: whole numbers stay ids, vectors lose their axis of 1."""
    if isinstance(token, Tensor):
        return token.reshape(-1) if token.ndim else int(token)
    return int(token)


class SD1ClipModel(nn.Module):
    """The encoders of a model."""

    slots: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        raise MissingAttribute(str(lacking("comfy.sd1_clip", f"{type(self).__name__}(...)")))

    @classmethod
    def of(cls, encoders: Sequence[ClipEncoder]) -> Any:
        """The view of encoders of ours."""
        made: Any = cls.__new__(cls)
        nn.Module.__init__(made)
        made.slots = tuple(one.slot for one in encoders)
        for one in encoders:
            setattr(made, one.slot, SDClipModel.of(one))
        made.clip = made.slots[0]
        made.clip_name = made.slots[0].removeprefix("clip_")
        return made

    def models(self) -> Iterator[Any]:
        """The encoders, in the order of their vectors."""
        return (getattr(self, slot) for slot in self.slots)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The networks by encoder."""
        return {slot: getattr(self, slot).engine.network for slot in self.slots}

    def set_clip_options(self, options: Mapping[str, Any]) -> None:
        """For every encoder."""
        for model in self.models():
            model.set_clip_options(options)

    def reset_clip_options(self) -> None:
        """For every encoder."""
        for model in self.models():
            model.reset_clip_options()

    def clip_layer(self, layer_idx: int) -> None:
        """Read another layer."""
        self.set_clip_options({"layer": layer_idx})

    def encode_token_weights(self, token_weight_pairs: Mapping[str, Chunks]) -> tuple[Tensor, Tensor]:
        """Vectors of all encoders side by side, the last one's pooled vector."""
        encoded = [
            getattr(self, slot).encode_token_weights(token_weight_pairs[slot.removeprefix("clip_")])
            for slot in self.slots
            if slot.removeprefix("clip_") in token_weight_pairs
        ]
        tokens = min(one[0].shape[1] for one in encoded)
        return torch.cat([one[0][:, :tokens] for one in encoded], dim=-1), encoded[-1][1]

    def load_sd(self, sd: Mapping[str, Tensor]) -> Any:
        """Counted as missing: weights come from files."""
        raise MissingAttribute(str(lacking("comfy.sd1_clip", "SD1ClipModel.load_sd")))
