"""Which words of a prompt a text encoder has never learned.

An encoder that was trained on few words has zeros in the rows of its token table for all others. What
such a word would add to a picture is nothing, and a person may want to be told.
"""

from __future__ import annotations

import re

from torch import Tensor

from comfykit.text.chunks import EMBEDDING
from comfykit.text.prompt import parse_weights
from comfykit.text.tokenizer import CLIP_L, ClipTokenizer

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def unknown_words(prompt: str, table: Tensor, tokenizer: ClipTokenizer = CLIP_L) -> list[str]:
    """Words of a prompt with a token whose row in `table` [tokens, width] is zero, in their order.

    They are in lower case, each once. Punctuation, weights and the names of textual inversions are no
    words.
    """
    text = " ".join(EMBEDDING.sub(" ", run.text) for run in parse_weights(prompt))
    words = dict.fromkeys(WORD.findall(text.lower()))
    return [word for word in words if not table[tokenizer.ids(word)].any(dim=1).all()]
