"""Hugging Face: short forms, pages, refusals."""

from __future__ import annotations

import pytest

from comfykit.fetch.hubs import Refusal, address, announced, hint

HUB = "https://huggingface.co"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("hf://o/r/a/b.pt", "o/r/resolve/main/a/b.pt"),
        ("hf://o/r/a/b.pt@v1.0", "o/r/resolve/v1.0/a/b.pt"),
        ("HF://o/r@0123abc/a/b.pt", "o/r/resolve/0123abc/a/b.pt"),
        ("hf://o/r/b.pt@refs/pr/1", "o/r/resolve/refs%2Fpr%2F1/b.pt"),
        ("hf://o/r@refs%2Fpr%2F1/b.pt", "o/r/resolve/refs%2Fpr%2F1/b.pt"),
        ("hf://o/r@main/a@b.pt", "o/r/resolve/main/a%40b.pt"),
        ("hf://datasets/o/r/b.pt@v2", "datasets/o/r/resolve/v2/b.pt"),
        ("hf://o/r/ü.pt", "o/r/resolve/main/%C3%BC.pt"),
        (f"{HUB}/o/r/blob/main/a/b.pt", "o/r/resolve/main/a/b.pt"),
        (f"{HUB}/o/r/raw/main/b.pt", "o/r/resolve/main/b.pt"),
        (f"{HUB}/o/r/resolve/main/b.pt?download=true", "o/r/resolve/main/b.pt"),
        ("https://hf.co/o/r/blob/main/b.pt", "o/r/resolve/main/b.pt"),
        (f"{HUB}/datasets/o/r/blob/main/b.pt", "datasets/o/r/resolve/main/b.pt"),
    ],
)
def test_what_people_copy_becomes_the_address_of_the_bytes(text: str, wanted: str) -> None:
    assert address(text) == f"{HUB}/{wanted}"


def test_a_mirror_s_page_stays_with_the_mirror() -> None:
    assert (
        address("https://hf-mirror.com/o/r/blob/main/b.pt") == "https://hf-mirror.com/o/r/resolve/main/b.pt"
    )


@pytest.mark.parametrize(
    "text",
    ["hf://o/r", "hf://o", "hf://", "hf://o/r/", "hf://o/r/@v1", "hf://o//a.pt", "hf://o/r@/a.pt"],
)
def test_short_forms_that_name_no_file(text: str) -> None:
    with pytest.raises(ValueError, match="names no file"):
        address(text)


@pytest.mark.parametrize("page", ["o/r", "o/r/tree/main", "o/r/discussions/3", "datasets/o/r", "o/r/"])
def test_pages_that_are_no_file(page: str) -> None:
    with pytest.raises(ValueError, match="is a page"):
        address(f"{HUB}/{page}")


@pytest.mark.parametrize("url", [f"{HUB}/api/resolve-cache/models/o/r/x/b.pt", f"{HUB}.example/o/r"])
def test_other_addresses_are_left_alone(url: str) -> None:
    assert address(url) == url


FILE = f"{HUB}/o/r/resolve/main/b.pt"


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (Refusal(FILE, 401), ["set HF_TOKEN", f"{HUB}/o/r ", "settings/tokens"]),
        (Refusal(FILE, 401, token_from="HF_TOKEN"), ["token of HF_TOKEN is not valid"]),
        (Refusal(FILE, 401, "GatedRepo", "HF_TOKEN"), [f"accept the terms at {HUB}/o/r;"]),
        (Refusal(FILE, 403, token_from="HF_TOKEN"), [f"accept the terms at {HUB}/o/r;"]),
        (Refusal(FILE, 401, "RepoNotFound", "/t"), [f"{HUB}/o/r is not there", "token of /t"]),
        (Refusal(f"{HUB}/datasets/o/r/resolve/main/b", 401), [f"{HUB}/datasets/o/r "]),
        (Refusal("https://hf-mirror.com/o/r/resolve/main/b", 401), ["do not go to its mirrors", "[tokens]"]),
        (Refusal("https://hf-mirror.com/o/r/resolve/main/b", 401, token_from="x"), ["does not accept"]),
    ],
)
def test_a_refusal_says_what_to_do(refusal: Refusal, words: list[str]) -> None:
    said = hint(refusal) or ""
    assert [word for word in words if word not in said] == []


def test_there_is_nothing_to_ask_before() -> None:
    def ask(url: str) -> object:
        raise AssertionError(url)

    assert announced(FILE, ask) is None
