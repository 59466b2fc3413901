"""What is there already, and whether it is the file."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest

from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.presence import Presence, State, inspect
from comfykit.home import Home
from fetch_support import PAGE, safetensors, sha256

DATA = safetensors()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    extra = tmp_path / "extra"
    extra.mkdir()
    home = Home(tmp_path / "home", {"vae": (extra,)})
    (home.models / "vae").mkdir(parents=True)
    return home


def look(home: Home, sha: str | None = None) -> Presence:
    entry = ManifestEntry(("https://h/a",), PurePosixPath("vae/a.safetensors"), "list.txt", 7, sha)
    return inspect(entry, home)


def put(home: Home, data: bytes) -> Path:
    path = home.models / "vae" / "a.safetensors"
    path.write_bytes(data)
    return path


def test_nothing_is_missing(home: Home) -> None:
    assert look(home).state is State.MISSING


def test_a_file_with_the_right_hash_is_verified(home: Home) -> None:
    put(home, DATA)
    found = look(home, sha256(DATA))
    assert (found.state, found.note, found.size) == (State.THERE, "there, verified", len(DATA))


def test_a_file_without_a_checksum_is_kept_and_said_to_be_unverified(home: Home) -> None:
    put(home, DATA)
    found = look(home)
    assert found.state is State.THERE
    assert "not verified" in found.note


def test_another_hash_is_a_conflict_that_names_both(home: Home) -> None:
    put(home, DATA)
    found = look(home, "a" * 64)
    assert found.state is State.CONFLICT
    assert sha256(DATA) in found.note
    assert "a" * 64 in found.note
    assert "list.txt:7" in found.note
    assert "remove the file" in str(found.hint)


@pytest.mark.parametrize("data", [b"", PAGE, DATA[:-3]])
@pytest.mark.parametrize("sha", [None, "a" * 64])
def test_what_can_be_no_model_is_broken(home: Home, data: bytes, sha: str | None) -> None:
    put(home, data)
    assert look(home, sha).state is State.BROKEN


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_a_conflict(home: Home, make: object) -> None:
    make(home.models / "vae" / "a.safetensors")  # type: ignore[operator]
    assert look(home).state is State.CONFLICT


def test_links_are_read_and_never_written(home: Home, tmp_path: Path) -> None:
    link = home.models / "vae" / "a.safetensors"
    link.symlink_to(tmp_path / "real")
    assert look(home).state is State.CONFLICT
    (tmp_path / "real").write_bytes(DATA)
    assert look(home).state is State.THERE
    (tmp_path / "real").write_bytes(b"")
    assert look(home).state is State.CONFLICT


def test_a_file_in_an_extra_folder_counts(home: Home) -> None:
    (home.extra["vae"][0] / "a.safetensors").write_bytes(DATA)
    found = look(home, sha256(DATA))
    assert found.state is State.THERE
    assert found.path.parent == home.extra["vae"][0]
    assert look(home, "a" * 64).state is State.MISSING


def test_a_file_under_the_other_name_of_its_kind_counts(tmp_path: Path) -> None:
    home = Home(tmp_path)
    (home.models / "text_encoders").mkdir(parents=True)
    (home.models / "text_encoders" / "t.safetensors").write_bytes(DATA)
    entry = ManifestEntry(("https://h/t",), PurePosixPath("clip/t.safetensors"), "x", 1)
    assert inspect(entry, home).state is State.THERE


def test_a_model_of_the_package_is_not_the_users(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", packaged=tmp_path / "package")
    (tmp_path / "package" / "vae").mkdir(parents=True)
    (tmp_path / "package" / "vae" / "a.safetensors").write_bytes(DATA)
    assert home.names("vae") == ["a.safetensors"]
    assert look(home).state is look(home, sha256(DATA)).state is State.MISSING
