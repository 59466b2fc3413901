"""The tokenizer of CLIP: words to ids, by byte-level byte-pair encoding.

"Learning Transferable Visual Models From Natural Language Supervision" (Radford et al. 2021), section
2.4, and OpenAI's CLIP repository, whose merges lie in `assets/clip`. The text is cleaned as
`transformers.CLIPTokenizer` does it: NFC, whitespace collapsed, lower case. HTML entities are left alone.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

START = 49406
END = 49407

START_TEXT, END_TEXT = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


@dataclass(frozen=True, slots=True)
class ClipTokenizer:
    """Ids of a text, and the ids that frame it.

    `pad` is what fills a chunk behind the end: the end token for CLIP-L, 0 for OpenCLIP's encoders.
    """

    pad: int = END
    start: int = START
    end: int = END

    def ids(self, text: str) -> list[int]:
        """Ids of `text`, 0 to 49407, without start and end; `<|endoftext|>` in the text is the end token."""
        # Half a surrogate pair, which JSON can hold, is no character; the rest of the text is.
        text = text.encode("utf-8", "ignore").decode("utf-8")
        ids: list[int] = _backend().encode(text, add_special_tokens=False).ids
        return ids


CLIP_L = ClipTokenizer()
OPEN_CLIP = ClipTokenizer(pad=0)


@cache
def _backend() -> Tokenizer:
    """The byte-pair encoder; made once, in about 50 ms."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    merges = _read_merges()
    symbols = _byte_symbols()
    tokens = [*symbols, *(symbol + WORD_END for symbol in symbols), *map("".join, merges)]
    vocabulary = {token: i for i, token in enumerate([*tokens, START_TEXT, END_TEXT])}
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token=END_TEXT, end_of_word_suffix=WORD_END)
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.add_special_tokens([START_TEXT, END_TEXT])
    return tokenizer


def _read_merges() -> list[tuple[str, str]]:
    """The merges, most frequent first."""
    packed = (files("comfykit") / "assets" / "clip" / "merges.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode("utf-8").splitlines()
    pairs = (line.partition(" ") for line in lines)
    return [(left, right) for left, _, right in pairs]


def _byte_symbols() -> list[str]:
    """One printable character per byte, in the order of the vocabulary.

    Printable bytes of Latin-1 stand for themselves and come first; the others are given the characters
    from U+0100 on (GPT-2's `bytes_to_unicode`).
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = 256 - len(printable)
    return [chr(code) for code in (*printable, *range(256, 256 + others))]
