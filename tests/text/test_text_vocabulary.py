from __future__ import annotations

import pytest
import torch
from torch import Tensor

from comfykit.text.tokenizer import CLIP_L
from comfykit.text.vocabulary import unknown_words


@pytest.fixture(scope="module")
def table() -> Tensor:
    """Vectors for the tokens of a few words, zeros elsewhere."""
    table = torch.zeros(49408, 4, dtype=torch.float16)
    table[CLIP_L.ids("a red circle left of it's, 2")] = 0.5
    return table


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a red circle", []),
        ("", []),
        ("a Fox left of a FOX, in the snow!", ["fox", "in", "the", "snow"]),
        ("a (red:1.3) ((fox)), \\(circle\\) [snow]", ["fox", "snow"]),
        ("embedding:night.pt a red embedding:fox", []),
        ("it's a fox's", ["fox's"]),
        ("22 circle_2", []),
        ("reddish", ["reddish"]),  # its first token is not that of the word "red"
        ("Füchse 狐", ["füchse", "狐"]),
        ("... — 🦊", []),
    ],
)
def test_words_whose_rows_are_zero(table: Tensor, prompt: str, words: list[str]) -> None:
    assert unknown_words(prompt, table) == words
