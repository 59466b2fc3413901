"""Where tokens are found, and whom they are shown to."""

from __future__ import annotations

from pathlib import Path

import pytest

from comfykit.errors import UsageError
from comfykit.fetch.tokens import Tokens, read_tokens

HF = "https://huggingface.co/o/r/resolve/main/a.pt"
CIVITAI = "https://civitai.com/api/download/models/1"


def read(tmp_path: Path, in_file: dict[str, str] | None = None, **environment: str) -> Tokens:
    return read_tokens({"HOME": str(tmp_path), **environment}, in_file)


def sent(tokens: Tokens, url: str) -> str | None:
    return dict(tokens.headers(url)).get("Authorization")


def test_without_tokens_nothing_is_sent(tmp_path: Path) -> None:
    assert read(tmp_path, HF_TOKEN="", CIVITAI_TOKEN=" ").headers(HF) == ()


def test_each_token_goes_to_its_own_hub(tmp_path: Path) -> None:
    tokens = read(tmp_path, HF_TOKEN="hf_a\n", CIVITAI_API_TOKEN="c")
    assert sent(tokens, HF) == "Bearer hf_a"
    assert sent(tokens, CIVITAI) == "Bearer c"
    assert sent(tokens, "https://civitai.red/api/download/models/1") == "Bearer c"


@pytest.mark.parametrize(
    "url",
    [
        "http://huggingface.co/o/r",
        "https://huggingface.co:8443/o/r",
        "https://hf-mirror.com/o/r",
        "https://huggingface.co.evil.example/o/r",
        "https://evil.example/https://huggingface.co/o/r",
        "https://cdn-lfs.huggingface.co/x",
        "https://cas-bridge.xethub.hf.co/x",
    ],
)
def test_nobody_else_sees_it(tmp_path: Path, url: str) -> None:
    assert sent(read(tmp_path, HF_TOKEN="hf_a", CIVITAI_TOKEN="c"), url) is None


def test_an_endpoint_in_the_environment_gets_no_token_until_it_is_named(tmp_path: Path) -> None:
    environment = {"HF_TOKEN": "hf_a", "HF_ENDPOINT": "https://hub.example"}
    assert sent(read(tmp_path, **environment), "https://hub.example/o/r") is None
    named = read(tmp_path, {"hub.example": "mine"}, **environment)
    assert sent(named, "https://hub.example/o/r") == "Bearer mine"


def test_the_environment_is_preferred_then_the_settings_then_the_token_file(tmp_path: Path) -> None:
    file = tmp_path / ".cache" / "huggingface" / "token"
    file.parent.mkdir(parents=True)
    file.write_text("hf_file\n")
    in_file = {"huggingface": "hf_toml"}
    assert sent(read(tmp_path, in_file, HF_TOKEN="hf_env"), HF) == "Bearer hf_env"
    assert sent(read(tmp_path, in_file), HF) == "Bearer hf_toml"
    assert sent(read(tmp_path), HF) == "Bearer hf_file"
    token = read(tmp_path).for_url(HF)
    assert token is not None
    assert token.said_by == str(file)


@pytest.mark.parametrize(
    ("variable", "name"),
    [("HF_TOKEN_PATH", "t"), ("HF_HOME", "token"), ("XDG_CACHE_HOME", "huggingface/token")],
)
def test_the_token_file_lies_where_hugging_face_s_tools_put_it(
    tmp_path: Path, variable: str, name: str
) -> None:
    file = tmp_path / "place" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("hf_file")
    value = file if variable == "HF_TOKEN_PATH" else tmp_path / "place"
    assert sent(read(tmp_path, **{variable: str(value)}), HF) == "Bearer hf_file"


def test_a_host_may_have_a_port_and_this_machine_http(tmp_path: Path) -> None:
    tokens = read(
        tmp_path, {"hub.example:8443": "a", "http://127.0.0.1:8080": "b", "https://x.example/": "c"}
    )
    assert sent(tokens, "https://hub.example:8443/f") == "Bearer a"
    assert sent(tokens, "https://hub.example/f") is None
    assert sent(tokens, "http://127.0.0.1:8080/f") == "Bearer b"
    assert sent(tokens, "http://127.0.0.1:8081/f") is None
    assert sent(tokens, "https://x.example/f") == "Bearer c"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("http://hub.example", "readable on its way"),
        ("ftp://hub.example", "is no host"),
        ("https://hub.example/path", "name its host alone"),
        ("a b", "is no host"),
        ("", "is no host"),
    ],
)
def test_names_that_are_no_host(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        read(tmp_path, {name: "hush"})
    assert "hush" not in f"{caught.value} {caught.value.hint} {caught.value.facts}"


@pytest.mark.parametrize("secret", ["two words", "line\nbreak", "hufé"])
def test_a_token_that_cannot_be_one_is_refused_unseen(tmp_path: Path, secret: str) -> None:
    with pytest.raises(UsageError, match="HF_TOKEN") as caught:
        read(tmp_path, HF_TOKEN=secret)
    assert secret not in str(caught.value)


def test_no_secret_is_in_a_repr(tmp_path: Path) -> None:
    tokens = read(tmp_path, {"huggingface": "hush"}, HF_TOKEN="hush")
    assert "hush" not in f"{tokens!r} {tokens.for_url(HF)!r}"
