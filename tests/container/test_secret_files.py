"""Tokens and mirrors in files, as containers get them."""

from __future__ import annotations

from pathlib import Path

import pytest

from comfykit.errors import UsageError
from comfykit.fetch.guide import open_guide
from comfykit.fetch.secret_files import with_secret_files
from comfykit.settings import resolve


def test_a_variable_comes_before_its_file_and_that_before_the_folder(tmp_path: Path) -> None:
    (tmp_path / "named").write_text("of the file\n")
    (tmp_path / "hf_token").write_text("of the folder\n")
    folder = {"COMFYKIT_SECRETS": str(tmp_path)}
    named = {**folder, "HF_TOKEN_FILE": str(tmp_path / "named"), "HF_TOKEN": " "}
    assert with_secret_files(folder)["HF_TOKEN"] == "of the folder"
    assert with_secret_files(named)["HF_TOKEN"] == "of the file"
    assert with_secret_files({**named, "HF_TOKEN": "itself"})["HF_TOKEN"] == "itself"


def test_a_secret_in_capitals_is_found_too_and_what_is_no_text_is_none(tmp_path: Path) -> None:
    (tmp_path / "CIVITAI_TOKEN").write_text("secret")
    (tmp_path / "hf_token").write_bytes(b"\xff\xfe")
    (tmp_path / "hf_endpoint").mkdir()
    found = with_secret_files({"COMFYKIT_SECRETS": str(tmp_path)})
    assert found == {"COMFYKIT_SECRETS": str(tmp_path), "CIVITAI_TOKEN": "secret"}


def test_a_file_that_is_named_and_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"HF_TOKEN_FILE: .* is no file that can be read") as caught:
        with_secret_files({"HF_TOKEN_FILE": str(tmp_path / "none"), "COMFYKIT_SECRETS": str(tmp_path)})
    assert caught.value.hint is not None


def test_tokens_and_mirrors_of_files_are_used(tmp_path: Path) -> None:
    (tmp_path / "hf_token").write_text("hf_secret\n")
    (tmp_path / "github_endpoint").write_text("https://mirror.example\n")
    environment = {
        "COMFYKIT_SECRETS": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path),
        "HOME": str(tmp_path),
        "COMFYKIT_HOME": str(tmp_path),
    }
    guide = open_guide(resolve(environment=environment), environment)
    assert guide.tokens.headers("https://huggingface.co/a") == (("Authorization", "Bearer hf_secret"),)
    assert guide.tokens.headers("https://mirror.example/a") == ()
    assert "https://mirror.example/" in {rule.to for rule in guide.rules}
