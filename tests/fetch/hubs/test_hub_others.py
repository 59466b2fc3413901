"""GitHub, ModelScope, and addresses of no hub."""

from __future__ import annotations

import pytest

from comfykit.fetch.hubs import Announced, Refusal, address, announced, file_name, hint

HASH = "0123456789abcdef" * 4
ASSET = "https://github.com/o/r/releases/download/v1.0/a%2Bb.pth"
SCOPE = "https://modelscope.cn"
FILE = f"{SCOPE}/api/v1/models/o/n/repo?Revision=v2&FilePath=sub%2Fa.safetensors"


def says(url: str, document: object) -> tuple[str, Announced | None]:
    """The question that was asked, and what the answer says."""
    asked: list[str] = []

    def ask(question: str) -> object:
        asked.append(question)
        return document

    found = announced(url, ask)
    return asked[0], found


@pytest.mark.parametrize(
    ("page", "wanted"),
    [
        ("https://github.com/o/r/blob/main/a/b.pth", "https://github.com/o/r/raw/main/a/b.pth"),
        ("https://github.com/o/r/raw/main/b.pth", "https://github.com/o/r/raw/main/b.pth"),
        (ASSET, ASSET),
        (
            "https://raw.githubusercontent.com/o/r/main/b.pth",
            "https://raw.githubusercontent.com/o/r/main/b.pth",
        ),
    ],
)
def test_github_s_pages_of_files(page: str, wanted: str) -> None:
    assert address(page) == wanted


@pytest.mark.parametrize("page", ["o/r", "o/r/tree/main", "o/r/releases", "o/r/releases/tag/v1.0"])
def test_github_s_other_pages_are_refused(page: str) -> None:
    with pytest.raises(ValueError, match="is a page"):
        address(f"https://github.com/{page}")


def test_github_says_size_and_hash_of_an_asset() -> None:
    release = {
        "assets": [
            {"name": "other.pth", "size": 1, "digest": f"sha256:{'f' * 64}"},
            {"name": "a+b.pth", "size": 7, "digest": f"sha256:{HASH}"},
        ]
    }
    question, found = says(ASSET, release)
    assert question == "https://api.github.com/repos/o/r/releases/tags/v1.0"
    assert found == Announced("a+b.pth", 7, HASH)


@pytest.mark.parametrize("digest", [None, "", f"sha512:{HASH}", HASH])
def test_an_asset_from_before_digests_has_a_size_alone(digest: object) -> None:
    _, found = says(ASSET, {"assets": [{"name": "a+b.pth", "size": 7, "digest": digest}]})
    assert found == Announced("a+b.pth", 7, None)


def test_modelscope_says_size_and_hash_of_a_file() -> None:
    listing = {
        "Data": {
            "Files": [
                {"Path": "a.safetensors", "Size": 1},
                {"Path": "sub/a.safetensors", "Size": 9, "Sha256": HASH},
            ]
        }
    }
    for url in (FILE, f"{SCOPE}/models/o/n/resolve/v2/sub/a.safetensors"):
        question, found = says(url, listing)
        assert question == f"{SCOPE}/api/v1/models/o/n/repo/files?Revision=v2&Recursive=true"
        assert found == Announced("a.safetensors", 9, HASH)


@pytest.mark.parametrize("page", ["models/o/n", "models/o/n/files", "models/o/n/resolve/master"])
def test_modelscope_s_pages_are_refused(page: str) -> None:
    with pytest.raises(ValueError, match="is a page"):
        address(f"{SCOPE}/{page}")


def test_the_name_of_a_file_is_in_the_path_or_in_modelscope_s_query() -> None:
    assert file_name(FILE) == "a.safetensors"
    assert file_name("https://h/a/b.pt?x=c.pt") == "b.pt"
    assert file_name("https://civitai.com/api/download/models/2") is None


def test_what_is_of_no_hub_is_left_alone() -> None:
    url = "https://files.example/x/blob/main/a.pt"
    assert address(url) == url
    assert announced(url, lambda question: 1 / 0) is None
    assert hint(Refusal(url, 401)) is None


@pytest.mark.parametrize("url", [ASSET, FILE])
def test_refusals_have_hints(url: str) -> None:
    assert hint(Refusal(url, 401))
