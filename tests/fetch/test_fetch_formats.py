"""Telling a model from what servers send in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from comfykit.fetch.formats import judge_file, judge_start
from fetch_support import PAGE, archive, safetensors

PICKLE = b"\x80\x02}q\x00."


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.safetensors", safetensors()),
        ("a.sft", safetensors(0)),
        ("a.PTH", archive()),
        ("a.ckpt", PICKLE),
        ("a.bin", PICKLE),
        ("a.gguf", b"GGUF\x03"),
        ("a.yaml", b"model: 1"),
        ("page.html", PAGE),
    ],
)
def test_what_can_be_the_file(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    assert judge_file(tmp_path / "x", name) is None


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "a.gguf", "a.yaml", "a.png"])
def test_pages_and_nothing_are_never_the_file(name: str) -> None:
    assert "HTML page titled 'Please log in'" in str(judge_start(name, b"\n " + PAGE, None))
    assert judge_start(name, b"", 0) == "it is empty"


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "a.ckpt", "a.bin", "a.gguf"])
def test_an_error_in_json_is_quoted(name: str) -> None:
    assert """'{"error":"gated"}'""" in str(judge_start(name, b'{"error":"gated"}', None))


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.safetensors", safetensors()[:-1], "cut off"),
        ("a.safetensors", safetensors() + b"x", "more"),
        ("a.safetensors", safetensors()[:30], "ends within its header"),
        ("a.safetensors", PICKLE * 3, "does not start like"),
        ("a.safetensors", b"\xff" * 8 + b"{", "does not start like"),
        ("a.safetensors", (9).to_bytes(8, "little") + b"{" + b"x" * 8, "cannot be read"),
        ("a.pt", archive()[:-30], "cut off"),
        ("a.pt", safetensors(), "does not start like"),
    ],
)
def test_what_cannot_be_the_file(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    (tmp_path / "x").write_bytes(data)
    assert words in str(judge_file(tmp_path / "x", name))
