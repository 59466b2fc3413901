from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from comfykit.text.chunks import CHUNK_LENGTH, Chunk, empty_chunk, tokenize
from comfykit.text.tokenizer import CLIP_L, END, START, ClipTokenizer

FOX = CLIP_L.ids("fox")[0]
RED = CLIP_L.ids("red")[0]


def values(chunk: Chunk) -> list[int | str]:
    """Ids between start and end of a chunk, `v` for a vector; checks the frame on the way."""
    ids = [token.value if isinstance(token.value, int) else "v" for token in chunk]
    assert len(ids) == CHUNK_LENGTH
    assert ids[0] == START
    end = ids.index(END)
    assert set(ids[end:]) == {END}
    assert all(token.weight == 1.0 for token in (chunk[0], *chunk[end:]))
    return ids[1:end]


def lengths(prompt: str, **given: object) -> list[int]:
    return [len(values(chunk)) for chunk in tokenize(prompt, **given)]  # type: ignore[arg-type]


def vectors(name: str) -> Tensor | None:
    """`three`, `nine` and the like are textual inversions of that many vectors."""
    counts = {"one": 1, "three": 3, "seven": 7, "nine": 9, "eighty": 80, "sub/one.pt": 1}
    return torch.arange(counts[name]).float()[:, None].expand(-1, 4) if name in counts else None


def test_an_empty_prompt_is_one_chunk() -> None:
    assert [values(chunk) for chunk in tokenize("")] == [[]]
    assert [values(chunk) for chunk in tokenize(" ()\n(:1.2)")] == [[]]
    assert values(empty_chunk(CLIP_L)) == []


def test_weights_go_with_their_tokens() -> None:
    (chunk,) = tokenize("red (fox:1.5) red")
    assert values(chunk) == [RED, FOX, RED]
    assert [token.weight for token in chunk[:5]] == [1.0, 1.0, 1.5, 1.0, 1.0]


def test_the_padding_is_the_tokenizers() -> None:
    (chunk,) = tokenize("fox", ClipTokenizer(pad=0))
    assert [token.value for token in chunk[:5]] == [START, FOX, END, 0, 0]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("fox " * 75, [75]),
        ("fox " * 76, [75, 1]),
        ("fox " * 200, [75, 75, 50]),
        # A phrase of 7 tokens is not split, one of 8 is.
        ("fox " * 70 + "(" + "red " * 7 + ")", [70, 7]),
        ("fox " * 70 + "(" + "red " * 8 + ")", [75, 3]),
        ("fox " * 75 + "(" + "red " * 7 + ")", [75, 7]),
        ("fox " * 75 + "(" + "red " * 8 + ")", [75, 8]),
        ("fox " * 70 + "(red red)(red red)(red red)", [74, 2]),
        ("(" + "fox " * 7 + ")" + "red " * 75, [75, 7]),
    ],
)
def test_phrases_and_chunks(prompt: str, expected: list[int]) -> None:
    assert lengths(prompt) == expected


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("embedding:three", ["v", "v", "v"]),
        ("fox embedding:one red", [FOX, "v", RED]),
        ("fox\nembedding:one\nred", [FOX, "v", RED]),
        ("embedding:one, red", ["v", 267, RED]),
        ("embedding:one,", ["v", 267]),
        ("embedding:sub/one.pt fox", ["v", FOX]),
        ("embedding:one embedding:three", ["v"] * 4),
        ("fox (embedding:one:1.2)red", [FOX, "v", RED]),
        ("fox embedding:absent red", [FOX, RED]),
        ("embedding:one,fox red", [RED]),
        ("fox,embedding:one", CLIP_L.ids("fox,embedding:one")),
        ("embedding:", CLIP_L.ids("embedding:")),
        ("embedding: one", CLIP_L.ids("embedding: one")),
    ],
)
def test_embeddings(prompt: str, expected: list[int | str]) -> None:
    (chunk,) = tokenize(prompt, find_embedding=vectors)
    assert values(chunk) == expected


def test_vectors_stand_in_order_with_their_weight() -> None:
    (chunk,) = tokenize("(embedding:three:0.7)", find_embedding=vectors)
    assert [token.weight for token in chunk[1:4]] == [0.7] * 3
    assert [float(token.value[0]) for token in chunk[1:4] if isinstance(token.value, Tensor)] == [
        0.0,
        1.0,
        2.0,
    ]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("fox " * 74 + "embedding:three", [74, 3]),
        ("fox " * 69 + "embedding:seven", [69, 7]),
        ("fox " * 70 + "embedding:nine", [75, 4]),
        ("embedding:eighty", [75, 5]),
    ],
)
def test_embeddings_across_the_border(prompt: str, expected: list[int]) -> None:
    assert lengths(prompt, find_embedding=vectors) == expected


def test_the_name_is_looked_up_without_commas() -> None:
    asked: list[str] = []
    tokenize("embedding:a,, x embedding:b/c.pt (embedding:d:1.2)", find_embedding=asked.append)  # type: ignore[func-returns-value, arg-type]
    assert asked == ["a", "b/c.pt", "d"]


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(1, 100), st.sampled_from([0.5, 1.0, 2.0])), max_size=8))
def test_no_token_is_lost(phrases: list[tuple[int, float]]) -> None:
    prompt = "".join(f"({'fox ' * count}:{weight})" for count, weight in phrases)
    expected = [weight for count, weight in phrases for _ in range(count)]
    found = [token.weight for chunk in tokenize(prompt) for token in chunk if token.value == FOX]
    assert found == expected


@pytest.mark.parametrize(
    "prompt", ["(" * 100_000, "(" * 50_000 + "fox" + ")" * 50_000, "embedding:" * 10_000]
)
def test_hostile_prompts_are_chunked(prompt: str) -> None:
    assert all(len(chunk) == CHUNK_LENGTH for chunk in tokenize(prompt))
