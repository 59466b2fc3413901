"""Hashes that are kept, and when they are believed; the state files they are kept in."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path, PurePosixPath

import pytest

from comfykit.errors import Interrupted
from comfykit.fetch import index as index_module
from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.index import HashIndex, hash_file, open_index
from comfykit.fetch.provenance import (
    Provenance,
    forget_provenance,
    provenance_of,
    provenances,
    record_provenance,
    without_secrets,
)
from comfykit.fetch.state_file import changing, read_state, state_path
from comfykit.home import Home
from fetch_support import sha256


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.models.mkdir(parents=True)
    return home


def put(home: Home, name: str, data: bytes) -> Path:
    path = home.models / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, reading a file for its hash fails."""
    monkeypatch.setattr(index_module, "hash_file", lambda *a, **k: pytest.fail("a file was read"))


def test_a_hash_is_that_of_the_bytes(home: Home) -> None:
    data = bytes(range(256)) * 9000
    told: list[int] = []
    assert hash_file(put(home, "vae/a", data), advance=told.append) == sha256(data)
    assert sum(told) == len(data)
    assert len(told) > 1


def test_hashing_ends_when_it_is_cancelled(home: Home) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Interrupted):
        hash_file(put(home, "vae/a", b"x"), cancel=cancel)


def test_a_known_file_is_not_read_again_in_another_process(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(home, "vae/a", b"abc")
    first = open_index(home)
    assert first.sha256(path) == sha256(b"abc")
    first.save()
    never(monkeypatch)
    assert open_index(home).sha256(path) == sha256(b"abc")
    assert open_index(home).holding(sha256(b"abc")) == [path]


@pytest.mark.parametrize("change", ["size", "time", "inode", "gone"])
def test_a_changed_file_is_not_known(home: Home, change: str) -> None:
    path = put(home, "vae/a", b"abc")
    index = open_index(home)
    index.sha256(path)
    status = path.stat()
    if change == "gone":
        path.unlink()
    elif change == "inode":
        beside = put(home, "vae/b", b"xyz")
        os.utime(beside, ns=(status.st_atime_ns, status.st_mtime_ns))
        beside.replace(path)
    else:
        path.write_bytes(b"abcd" if change == "size" else b"xyz")
        later = status.st_mtime_ns + (change == "time")
        os.utime(path, ns=(status.st_atime_ns, later))
    assert index.known(path) is None
    assert index.holding(sha256(b"abc")) == []


def test_again_reads_what_is_known(home: Home) -> None:
    path = put(home, "vae/a", b"abc")
    index = open_index(home)
    index.sha256(path)
    status = path.stat()
    path.write_bytes(b"xyz")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert index.sha256(path) == sha256(b"abc")
    assert index.sha256(path, again=True) == sha256(b"xyz")


def test_a_file_that_changes_while_it_is_read_is_not_kept(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(home, "vae/a", b"abc")

    def slow(of: Path, **_: object) -> str:
        of.write_bytes(b"longer")
        return sha256(b"abc")

    monkeypatch.setattr(index_module, "hash_file", slow)
    index = open_index(home)
    index.sha256(path)
    assert index.known(path) is None


def test_two_processes_add_to_each_other(home: Home) -> None:
    paths = [put(home, f"vae/{name}", name.encode()) for name in "ab"]
    indexes = [open_index(home) for _ in paths]
    for index, path in zip(indexes, paths, strict=True):
        index.sha256(path)
    for index in indexes:
        index.save()
    assert [open_index(home).known(path) for path in paths] == [sha256(b"a"), sha256(b"b")]


def test_a_moved_home_keeps_its_index(home: Home, tmp_path: Path) -> None:
    path = put(home, "vae/a", b"abc")
    index = open_index(home)
    index.sha256(path)
    index.save()
    home.root.rename(tmp_path / "moved")
    moved = Home(tmp_path / "moved")
    assert open_index(moved).known(moved.models / "vae" / "a") == sha256(b"abc")


def test_nothing_is_written_for_nothing_or_outside_of_a_home(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    home = Home(tmp_path / "home")
    index = open_index(home)
    index.sha256(tmp_path / "a")
    index.save()
    HashIndex().save()
    assert not home.root.exists()


def test_files_that_are_gone_are_forgotten(home: Home) -> None:
    kept, gone = put(home, "vae/a", b"a"), put(home, "vae/b", b"b")
    index = open_index(home)
    for path in (kept, gone):
        index.sha256(path)
    index.save()
    gone.unlink()
    assert open_index(home).forget_missing() == 1
    assert list(read_state(state_path(home, "hashes.json"))) == ["models/vae/a"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"version": 2, "entries": {"a": {}}}', '{"version": 1, "entries": 3}', "[" * 9999],
)
def test_a_state_file_that_makes_no_sense_is_empty_and_written_anew(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x" / "state.json"
    path.parent.mkdir()
    path.write_text(text)
    assert read_state(path) == {}
    with changing(path) as entries:
        entries["a"] = {"size": 1}
    assert read_state(path) == {"a": {"size": 1}}
    assert sorted(file.name for file in path.parent.iterdir()) == ["state.json", "state.json.lock"]


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with changing(path) as entries:
        entries["a"] = {}

    def fail() -> None:
        with changing(path) as entries:
            entries.clear()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert read_state(path) == {"a": {}}


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.json"

    def add(name: str) -> None:
        for index in range(10):
            with changing(path) as entries:
                entries[f"{name}{index}"] = {}

    threads = [threading.Thread(target=add, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_state(path)) == 40


# Where files came from


def entry(*urls: str) -> ManifestEntry:
    headers = (("Authorization", "Bearer secret"), ("Authorization", "again"))
    return ManifestEntry(urls, PurePosixPath("vae/a.pt"), "list", 1, headers=headers)


def test_where_a_file_came_from_is_kept_without_secrets(home: Home) -> None:
    urls = ("https://h/a.pt?token=secret&type=Model", "https://m/a.pt")
    record_provenance(home, {PurePosixPath("vae/a.pt"): provenance_of(entry(*urls), 3, "0" * 64)})
    kept = provenances(home)["vae/a.pt"]
    assert kept.urls == ("https://h/a.pt?type=Model", "https://m/a.pt")
    assert kept.needs == ("Authorization",)
    assert (kept.size, kept.sha256) == (3, "0" * 64)
    assert "secret" not in state_path(home, "sources.json").read_text()
    forget_provenance(home, targets={"vae/a.pt", "vae/other.pt"})
    assert provenances(home) == {}


def test_it_holds_for_the_same_bytes_alone() -> None:
    kept = Provenance(("https://h/a",), 3, "0" * 64)
    assert kept.fits(3, "0" * 64)
    assert kept.fits(3, None)
    assert not kept.fits(3, "1" * 64)
    assert not kept.fits(4, None)


def test_entries_that_make_no_sense_are_left_out(home: Home) -> None:
    good = {"urls": ["https://h/a"], "size": 1, "sha256": None}
    path = state_path(home, "sources.json")
    path.parent.mkdir()
    entries = {"a": good, "b": {**good, "urls": "x"}, "c": {**good, "sha256": 3}, "d": {**good, "needs": [1]}}
    path.write_text(json.dumps({"version": 1, "entries": entries}))
    assert list(provenances(home)) == ["a"]


def test_an_address_without_secrets_keeps_what_names_the_file() -> None:
    assert without_secrets("https://h/a?X-Amz-Signature=1") == "https://h/a"
    assert without_secrets("https://h/a?FilePath=x/y.pt&key=1") == "https://h/a?FilePath=x/y.pt"
