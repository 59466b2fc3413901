"""What files are by their first bytes, and what is said about those that are no weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from comfykit.errors import ModelFileError
from comfykit.weights.header import read_header
from comfykit.weights.magic import sniff

CASES = {
    "html": (b"<!DOCTYPE html>\n<html>", "HTML page"),
    "html upper": (b"\n <HTML><body>", "HTML page"),
    "json": (b'{"error": "Invalid credentials"}', "JSON text"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer"),
    "gguf": (b"GGUF\x03\0\0\0" + bytes(40), "GGUF"),
    "empty": (b"", "0 bytes"),
    "zip": (b"PK\x03\x04" + bytes(40), "zip archive"),
    "pickle": (b"\x80\x02}q\0." + bytes(40), "pickle"),
}


@pytest.mark.parametrize("case", CASES)
def test_says_what_a_file_is_instead(tmp_path: Path, case: str) -> None:
    content, said = CASES[case]
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    assert sniff(path) == case.split(maxsplit=1)[0]
    with pytest.raises(ModelFileError, match=said) as caught:
        read_header(path)
    assert caught.value.hint


def test_a_plain_text_is_no_safetensors_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"Entry not found, ask again")
    assert sniff(path) == "unknown"
    with pytest.raises(ModelFileError, match="no safetensors file"):
        read_header(path)


@pytest.mark.parametrize(("legacy", "magic"), [(False, "zip"), (True, "pickle")])
def test_knows_what_torch_saves(tmp_path: Path, legacy: bool, magic: str) -> None:
    path = tmp_path / "model.ckpt"
    torch.save({"a": torch.zeros(2)}, path, _use_new_zipfile_serialization=not legacy)
    assert sniff(path) == magic
