"""Civitai: identifiers, pages, what its interface says of a file, refusals."""

from __future__ import annotations

import pytest

from comfykit.errors import TransferError
from comfykit.fetch.hubs import Announced, Refusal, address, announced, hint, is_pinned, pinned

HUB = "https://civitai.com"
DOWNLOAD = f"{HUB}/api/download/models/20"
HASH = "A5F58EB1C33616C4F06BCA55AF39876A7B817913CD829CAA8ACB111B770C85CC"


def file(
    number: int, *, kind: str = "Model", fp: str = "fp16", primary: bool = False, **more: object
) -> object:
    """An entry of `files`, with the fields that the interface documents."""
    return {
        "id": number,
        "name": f"file{number}.safetensors",
        "type": kind,
        "sizeKB": 2.5,
        "metadata": {"format": "SafeTensor", "size": "pruned", "fp": fp},
        "hashes": {"AutoV2": HASH[:10], "SHA256": HASH[:-1] + str(number)},
        **({"primary": True} if primary else {}),
        **more,
    }


VERSION = {"id": 20, "files": [file(1, primary=True), file(2, fp="fp32"), file(3, kind="VAE")]}


def says(document: object, url: str = DOWNLOAD) -> Announced | None:
    asked: list[str] = []

    def ask(question: str) -> object:
        asked.append(question)
        return document

    found = announced(url, ask)
    assert asked == [f"{HUB}/api/v1/model-versions/20"]
    return found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("civitai:10@20", "api/download/models/20"),
        ("civitai:10@20+30", "api/download/models/20?fileId=30"),
        ("civitai:10@20.safetensor", "api/download/models/20?format=SafeTensor"),
        ("civitai:10@20?fp=fp16&size=pruned&x=y", "api/download/models/20?size=pruned&fp=fp16"),
        ("urn:air:sdxl:checkpoint:civitai:10@20", "api/download/models/20"),
        ("air:sdxl:lora:civitai:10@20", "api/download/models/20"),
        ("civitai:10", "models/10"),
        (f"{HUB}/models/10/some-name?modelVersionId=20", "api/download/models/20"),
        (f"{HUB}/models/10/some-name", "models/10"),
        (
            f"{HUB}/api/download/models/20?type=Model&format=SafeTensor",
            "api/download/models/20?type=Model&format=SafeTensor",
        ),
    ],
)
def test_what_people_copy_becomes_the_address_of_the_bytes(text: str, wanted: str) -> None:
    assert address(text) == f"{HUB}/{wanted}"


def test_the_other_host_stays_the_other_host() -> None:
    page = "https://civitai.red/models/10?modelVersionId=20"
    assert address(page) == "https://civitai.red/api/download/models/20"


@pytest.mark.parametrize("text", ["civitai:", "civitai:abc", "civitai:10@", "civitai:10@x?token=hush"])
def test_identifiers_that_are_none_are_refused_without_their_query(text: str) -> None:
    with pytest.raises(ValueError, match="civitai:MODEL@VERSION") as caught:
        address(text)
    assert "hush" not in str(caught.value)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="no format"):
        address("civitai:10@20.diffuser")


@pytest.mark.parametrize(
    ("url", "number"),
    [
        (DOWNLOAD, 1),
        (f"{DOWNLOAD}?fp=fp32", 2),
        (f"{DOWNLOAD}?type=VAE", 3),
        (f"{DOWNLOAD}?type=Model&format=SafeTensor&size=pruned&fp=fp16", 1),
        (f"{DOWNLOAD}?fileId=3", 3),
        (f"{DOWNLOAD}?fileId=2&fp=fp16", 2),
    ],
)
def test_the_interface_says_name_size_and_hash_of_the_chosen_file(url: str, number: int) -> None:
    sha256 = HASH[:-1].lower() + str(number)
    assert says(VERSION, url) == Announced(f"file{number}.safetensors", 2560, sha256)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {"files": None},
        {"files": ["x"]},
        {"files": [file(1), file(2)]},
        {"error": "No version with id 20"},
    ],
)
def test_an_answer_that_names_no_one_file_says_nothing(document: object) -> None:
    assert says(document) is None


def test_what_is_not_exact_is_left_out() -> None:
    odd = {
        "files": [file(1, primary=True, sizeKB=6775430.35, hashes={"SHA256": "A5F58EB1C33616..."}, name=None)]
    }
    assert says(odd) == Announced(None, None, None)


def test_an_interface_that_is_down_stops_nothing() -> None:
    def ask(url: str) -> object:
        raise TransferError("down")

    assert announced(DOWNLOAD, ask) is None


def test_the_page_of_a_model_is_pinned_to_its_newest_version() -> None:
    model = {"id": 10, "modelVersions": [{"id": 21, "files": []}, {"id": 20, "files": []}]}
    asked: list[str] = []

    def ask(question: str) -> object:
        asked.append(question)
        return model

    page = address("civitai:10?fp=fp16")
    assert not is_pinned(page)
    assert pinned(page, ask) == f"{HUB}/api/download/models/21?fp=fp16"
    assert asked == [f"{HUB}/api/v1/models/10"]
    assert is_pinned(DOWNLOAD)
    assert pinned(DOWNLOAD, ask) == DOWNLOAD


def test_a_model_without_versions_is_an_error() -> None:
    with pytest.raises(TransferError, match="no version of model 10"):
        pinned(f"{HUB}/models/10", lambda url: {"modelVersions": []})


def test_a_refusal_says_what_to_do() -> None:
    assert "set CIVITAI_TOKEN" in (hint(Refusal(DOWNLOAD, 401)) or "")
    assert "key of CIVITAI_API_TOKEN" in (hint(Refusal(DOWNLOAD, 403, token_from="CIVITAI_API_TOKEN")) or "")


def test_a_login_page_instead_of_the_file_is_a_refusal_of_civitai_s_alone() -> None:
    assert "set CIVITAI_TOKEN" in (hint(Refusal(DOWNLOAD, 200)) or "")
    assert hint(Refusal("https://huggingface.co/o/r/resolve/main/a", 200)) is None
