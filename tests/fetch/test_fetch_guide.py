"""Rules, tokens and history of a run, and what hubs add to an entry."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from comfykit.errors import TransferError, UsageError
from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.guide import Guide, informed, named, needs_asking, open_guide
from comfykit.fetch.source import Expected
from comfykit.settings import resolve

HASH = "0123456789abcdef" * 4
FILE = "https://huggingface.co/o/r/resolve/main/a.pt"
DOWNLOAD = "https://civitai.com/api/download/models/20"
VERSION = {"files": [{"id": 1, "name": "a.pt", "primary": True, "hashes": {"SHA256": HASH.upper()}}]}
ANSWERS = {
    "https://civitai.com/api/v1/models/10": {"modelVersions": [{"id": 20}]},
    "https://civitai.com/api/v1/model-versions/20": VERSION,
}


def entry(*urls: str, sha256: str | None = None, size: int | None = None) -> ManifestEntry:
    return ManifestEntry(urls, PurePosixPath("vae/a.pt"), "list.txt", 3, sha256, size=size)


def ask(url: str) -> object:
    if url not in ANSWERS:
        raise TransferError(f"no answer from {url}")
    return ANSWERS[url]


def test_settings_and_environment_make_the_sources(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    toml = home / "comfykit.toml"
    toml.write_text(
        '[[mirrors]]\nfrom = "https://huggingface.co/"\nto = "https://m.example/"\n'
        '[tokens]\n"m.example" = "mine"\n'
    )
    toml.chmod(0o600)
    environment = {"HOME": str(tmp_path), "HF_TOKEN": "hf"}
    guide = open_guide(resolve({"home": home}, environment=environment), environment)
    first, second = guide.sources(entry(FILE))
    assert (first.url, first.headers) == (FILE, (("Authorization", "Bearer hf"),))
    assert (second.url, second.headers) == (
        "https://m.example/o/r/resolve/main/a.pt",
        (("Authorization", "Bearer mine"),),
    )


def test_without_arguments_files_are_asked_for_at_their_own_addresses() -> None:
    assert [source.url for source in Guide().sources(entry(FILE, sha256=HASH))] == [FILE]


def test_rules_that_cannot_be_used_are_said_at_once(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "HF_ENDPOINT": "nonsense"}
    with pytest.raises(UsageError, match="HF_ENDPOINT"):
        open_guide(resolve({}, environment=environment, cwd=tmp_path), environment)


def test_a_model_is_settled_to_its_newest_version_and_its_hash() -> None:
    unsettled = entry("https://civitai.com/models/10")
    assert needs_asking(unsettled)
    settled, expected = informed(unsettled, ask)
    assert settled.urls == (DOWNLOAD,)
    assert expected == Expected(None, HASH, "civitai.com")


def test_the_manifest_s_word_counts_before_the_hub_s() -> None:
    own = entry(DOWNLOAD, sha256="f" * 64, size=5)
    assert not needs_asking(own)
    assert informed(own, ask) == (own, Expected(5, "f" * 64, "list.txt:3"))


def test_a_hub_that_does_not_answer_stops_nothing_but_an_unsettled_version() -> None:
    def silent(url: str) -> object:
        raise TransferError("silent")

    assert informed(entry(DOWNLOAD, size=5), silent)[1] == Expected(5, None, "list.txt:3")
    with pytest.raises(TransferError, match="silent"):
        informed(entry("https://civitai.com/models/10"), silent)


def test_hugging_face_is_not_asked_as_its_redirect_says_all() -> None:
    assert not needs_asking(entry(FILE))
    assert informed(entry(FILE), ask)[1] == Expected()


def test_a_name_is_the_address_s_or_the_hub_s() -> None:
    assert named("https://civitai.com/models/10", ask) == (DOWNLOAD, "a.pt")
    assert named(FILE, ask) == (FILE, "a.pt")
    assert named("https://h.example/download", ask) == ("https://h.example/download", None)
