"""Files that lie on the machine already: in Hugging Face's cache, or under another name."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest

from comfykit.errors import VerificationError
from comfykit.fetch import copies
from comfykit.fetch.copies import Copy, adopt, find_copy
from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.hf_cache import HfCache, cache_from
from comfykit.fetch.index import HashIndex, open_index
from comfykit.home import Home
from fetch_support import PAGE, safetensors, sha256

DATA = safetensors()
COMMIT = "0123456789" * 4
HUB = "https://huggingface.co/owner/repo/resolve"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home", {"vae": (tmp_path / "extra",)})
    home.models.mkdir(parents=True)
    return home


@pytest.fixture
def cache(tmp_path: Path) -> HfCache:
    """A cache with one file of one repository, laid out as huggingface_hub does."""
    repo = tmp_path / "hub" / "models--owner--repo"
    blob = repo / "blobs" / sha256(DATA)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(DATA)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    link = repo / "snapshots" / COMMIT / "sub" / "a b.safetensors"
    link.parent.mkdir(parents=True)
    link.symlink_to(os.path.relpath(blob, link.parent))
    return HfCache(tmp_path / "hub")


def entry(
    url: str = "https://h/a", sha: str | None = None, target: str = "vae/a.safetensors"
) -> ManifestEntry:
    return ManifestEntry((url,), PurePosixPath(target), "list.txt", 7, sha)


def find(home: Home, cache: HfCache, wanted: ManifestEntry) -> Copy | None:
    return find_copy(wanted, home, open_index(home), cache)


def test_a_blob_of_the_cache_is_found_by_its_hash(home: Home, cache: HfCache) -> None:
    found = find(home, cache, entry(sha=sha256(DATA)))
    assert found is not None
    assert (found.sha256, found.size) == (sha256(DATA), len(DATA))
    assert found.place == "the Hugging Face cache (owner/repo)"
    assert find(home, cache, entry(sha="a" * 64)) is None
    assert find(home, HfCache(cache.folder / "none"), entry(sha=sha256(DATA))) is None


@pytest.mark.parametrize(
    "url",
    [
        f"{HUB}/main/sub/a%20b.safetensors",
        f"{HUB}/{COMMIT}/sub/a%20b.safetensors?download=true",
        "https://hf-mirror.com/owner/repo/blob/main/sub/a%20b.safetensors",
    ],
)
def test_without_a_checksum_the_address_names_the_file(home: Home, cache: HfCache, url: str) -> None:
    found = find(home, cache, entry(url))
    assert found is not None
    assert found.sha256 == sha256(DATA)


@pytest.mark.parametrize(
    "url",
    [
        f"{HUB}/dev/sub/a%20b.safetensors",
        f"{HUB}/{COMMIT[::-1]}/sub/a%20b.safetensors",
        f"{HUB}/main/sub/other.safetensors",
        f"{HUB}/main/..%2F..%2Fblobs/{sha256(DATA)}",
        f"{HUB}/..%2Frefs%2Fmain/sub/a%20b.safetensors",
        "https://example.com/owner/repo/resolve/main/sub/a%20b.safetensors",
        "https://huggingface.co/datasets/owner/repo/resolve/main/sub/a%20b.safetensors",
    ],
)
def test_other_addresses_name_no_file_of_the_cache(home: Home, cache: HfCache, url: str) -> None:
    assert find(home, cache, entry(url)) is None


def test_a_small_file_whose_name_is_no_sha256_is_left_alone(home: Home, cache: HfCache) -> None:
    repo = cache.folder / "models--owner--repo"
    (repo / "blobs" / COMMIT).write_bytes(b"{}")
    (repo / "snapshots" / COMMIT / "config.json").symlink_to(f"../../blobs/{COMMIT}")
    assert find(home, cache, entry(f"{HUB}/main/config.json")) is None


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"HF_HUB_CACHE": "/c", "HF_HOME": "/h"}, "/c"),
        ({"HUGGINGFACE_HUB_CACHE": "/c"}, "/c"),
        ({"HF_HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/h/hub"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"),
        ({}, str(Path.home() / ".cache/huggingface/hub")),
    ],
)
def test_the_cache_lies_where_the_variables_say(variables: dict[str, str], folder: str) -> None:
    assert cache_from(variables).folder == Path(folder)


def test_the_host_of_hf_endpoint_is_one_of_the_hubs(home: Home, cache: HfCache) -> None:
    url = "https://hub.example/owner/repo/resolve/main/sub/a%20b.safetensors"
    here = {"HF_HUB_CACHE": str(cache.folder), "HF_ENDPOINT": "https://hub.example"}
    assert find(home, cache_from(here), entry(url)) is not None
    assert find(home, cache_from({"HF_HUB_CACHE": str(cache.folder)}), entry(url)) is None


def test_models_of_the_same_name_are_hashed_and_others_are_not(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = HfCache(tmp_path / "none")
    for path in (home.models / "checkpoints/A.safetensors", tmp_path / "extra/b.safetensors"):
        path.parent.mkdir(parents=True)
        path.write_bytes(DATA)
    found = find(home, none, entry(sha=sha256(DATA)))
    assert found is not None
    assert found.place == "models/checkpoints/A.safetensors"
    found = find(home, none, entry(sha=sha256(DATA), target="loras/b.safetensors"))
    assert found is not None
    assert found.place == str(tmp_path / "extra/b.safetensors")
    monkeypatch.setattr(HashIndex, "sha256", lambda *a: pytest.fail("a file was read"))
    assert find(home, none, entry(sha=sha256(DATA), target="loras/c.safetensors")) is None


def test_a_file_that_the_index_knows_is_found_under_any_name(home: Home, tmp_path: Path) -> None:
    path = home.models / "checkpoints/z.safetensors"
    path.parent.mkdir()
    path.write_bytes(DATA)
    index = open_index(home)
    index.sha256(path)
    found = find_copy(entry(sha=sha256(DATA)), home, index, HfCache(tmp_path / "none"))
    assert found is not None
    assert found.path == path


def source(tmp_path: Path, data: bytes = DATA) -> Copy:
    path = tmp_path / "source"
    path.write_bytes(data)
    return Copy(path, sha256(DATA), len(data), "elsewhere")


def test_a_copy_shares_its_bytes(tmp_path: Path) -> None:
    copy, target = source(tmp_path), tmp_path / "vae" / "a.safetensors"
    index, told = HashIndex(), []
    assert adopt(copy, target, index, advance=told.append) in ("reflinked", "hard-linked")
    assert target.read_bytes() == DATA
    assert told[-1] == len(DATA)
    assert index.known(target) == sha256(DATA)
    assert [path.name for path in target.parent.iterdir()] == ["a.safetensors"]


def test_where_nothing_can_be_shared_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "_share", lambda source, beside: None)
    data = DATA + bytes(3_000_000)
    path, target, told = tmp_path / "source", tmp_path / "a.ckpt_", []
    path.write_bytes(data)
    assert (
        adopt(Copy(path, sha256(data), len(data), ""), target, HashIndex(), advance=told.append) == "copied"
    )
    assert target.read_bytes() == data
    assert told == sorted(told)
    assert told[-1] == len(data)
    assert not target.samefile(path)


def test_another_disk_and_a_foreign_file_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, beside: Path) -> None:
        raise OSError(18, "cross-device link")

    monkeypatch.setattr(copies, "_reflink", lambda source, beside: False)
    monkeypatch.setattr(os, "link", refuse)
    assert adopt(source(tmp_path), tmp_path / "a.safetensors", HashIndex()) == "copied"


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("data", [b"other", PAGE])
def test_wrong_bytes_never_get_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool, data: bytes
) -> None:
    if not shared:
        monkeypatch.setattr(copies, "_share", lambda source, beside: None)
    target = tmp_path / "vae" / "a.safetensors"
    with pytest.raises(VerificationError, match="is not the file"):
        adopt(source(tmp_path, data), target, HashIndex())
    assert list(target.parent.iterdir()) == []


def test_the_right_hash_of_what_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(PAGE)
    with pytest.raises(VerificationError, match="HTML page"):
        adopt(Copy(path, sha256(PAGE), len(PAGE), ""), tmp_path / "a.safetensors", HashIndex())
