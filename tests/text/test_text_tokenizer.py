from __future__ import annotations

import gzip
from collections.abc import Callable
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfykit.text.tokenizer import CLIP_L, END, START, ClipTokenizer, _backend

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="session")
def reference() -> Callable[[str], list[int]]:
    """The tokenizer of transformers, made from our merges."""
    merges = gzip.decompress((files("comfykit") / "assets/clip/merges.txt.gz").read_bytes()).decode()
    pairs = [tuple(line.split(" ")) for line in merges.splitlines()]
    theirs = transformers.CLIPTokenizer(vocab=_backend().get_vocab(), merges=pairs)
    return lambda text: theirs(text)["input_ids"][1:-1]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        # From the documentation and tests of OpenAI's CLIP.
        ("a photo of a cat", [320, 1125, 539, 320, 2368]),
        ("a diagram", [320, 22697]),
        ("", []),
        (" \n\t ", []),
    ],
)
def test_known_ids(text: str, ids: list[int]) -> None:
    assert CLIP_L.ids(text) == ids


def test_the_vocabulary_is_that_of_clip() -> None:
    vocabulary = _backend().get_vocab()
    assert len(vocabulary) == 49408
    assert (vocabulary["<|startoftext|>"], vocabulary["<|endoftext|>"]) == (START, END) == (49406, 49407)
    assert (vocabulary["!"], vocabulary["!</w>"], vocabulary["in"]) == (0, 256, 512)


TEXTS = [
    "A PHOTO of a Red Fox",
    "first line\nsecond line\t tab",
    "一只红色的狐狸 🦊 café naïve",
    "cafe\u0301",
    "it's 42½ _a_ fox's!!'' ok... <b>&amp;</b>",
    "x <|endoftext|> y<|startoftext|><|ENDOFTEXT|>",
    "a\u200bb\x07c\u00a0d\u3000e",
    "ΣΑΣ İstanbul ſ ß",
    "👩‍🚀🫠🥹",
    "((((,,,,))))",
    "supercalifragilisticexpialidocious" * 3,
]


@pytest.mark.parametrize("text", TEXTS)
def test_as_transformers(text: str, reference: Callable[[str], list[int]]) -> None:
    assert CLIP_L.ids(text) == reference(text)


@settings(max_examples=200)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_as_transformers_for_any_text(text: str, reference: Callable[[str], list[int]]) -> None:
    assert CLIP_L.ids(text) == reference(text)


def test_half_a_surrogate_pair_is_dropped() -> None:
    assert CLIP_L.ids("red \ud83e fox") == CLIP_L.ids("red fox")


def test_padding_can_be_chosen() -> None:
    assert (CLIP_L.pad, ClipTokenizer(pad=0).pad) == (END, 0)


def test_the_notice_travels_with_the_merges() -> None:
    notice = (files("comfykit") / "assets/clip/NOTICE").read_text(encoding="utf-8")
    assert "Copyright (c) 2021 OpenAI" in notice
    assert "MIT License" in notice
