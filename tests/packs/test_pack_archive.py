"""Zips, honest and hostile."""

from __future__ import annotations

import io
import struct
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comfykit.errors import PackError
from comfykit.packs.archive import check_size, unpack
from comfykit.packs.limits import USUAL, PackLimits
from pack_sources_support import PACK, Member, files_of, member, zip_of


def unpacked(data: bytes, tmp_path: Path, limits: PackLimits = USUAL) -> Path:
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    return unpack(path, tmp_path / "out", "a.zip", limits)


@pytest.mark.parametrize("top", ["", "ComfyMath-main/"])
def test_a_pack_at_the_top_and_in_a_folder(top: str, tmp_path: Path) -> None:
    folder = unpacked(zip_of(PACK, top), tmp_path)
    assert files_of(folder) == PACK
    assert folder.name == (top.rstrip("/") or "out")


def test_modes_links_and_what_is_left_out(tmp_path: Path) -> None:
    members: list[Member] = [
        ("pack/", ""),
        ("pack/__init__.py", ""),
        member("pack/run.sh", 0o104755, "#!/bin/sh\n"),
        member("pack/plain.py", 0o100666, ""),
        member("pack/docs/AGENTS.md", 0o120777, "../__init__.py"),
        ("pack/.git/hooks/post-checkout", "touch /tmp/ran"),
        ("pack/sub/.GIT", "gitdir: /elsewhere"),
        ("pack/__pycache__/__init__.cpython-311.pyc", "other code"),
        ("__MACOSX/pack/._x", ""),
        ("pack/.DS_Store", ""),
        ("pack/.github/ci.yml", ""),
    ]
    folder = unpacked(zip_of(members), tmp_path)
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    assert found == [".github/ci.yml", "__init__.py", "docs/AGENTS.md", "plain.py", "run.sh"]
    assert [(folder / name).stat().st_mode & 0o7777 for name in ("run.sh", "plain.py")] == [0o755, 0o644]
    assert (folder / "docs" / "AGENTS.md").resolve() == (folder / "__init__.py").resolve()


HOSTILE: dict[str, list[Member]] = {
    "climbs": [("../evil.py", "")],
    "climbs in the middle": [("a/../../evil.py", "")],
    "dot": [("a/./b.py", "")],
    "absolute": [("/tmp/evil.py", "")],
    "drive": [("C:/evil.py", "")],
    "backslash": [("..\\evil.py", "")],
    "control character": [("a\nb.py", "")],
    "empty part": [("a//b.py", "")],
    "long name": [("a" * 256, "")],
    "long path": [("/".join(["a" * 100] * 11), "")],
    "twice": [("a.py", "1"), ("a.py", "2")],
    "case": [("Nodes.py", "1"), ("nodes.py", "2")],
    "two forms": [("caf\u00e9.py", "1"), ("cafe\u0301.py", "2")],
    "file and folder": [("a", ""), ("a/b.py", "")],
    "file and folder by case": [("A", ""), ("a/b.py", "")],
    "link out": [member("a", 0o120777, "../../etc/passwd")],
    "absolute link": [member("a", 0o120777, "/etc/passwd")],
    "empty link": [member("a", 0o120777, "")],
    "link through a link": [member("a", 0o120777, "."), member("b", 0o120777, "a/../..")],
    "links in a circle": [member("a", 0o120777, "b"), member("b", 0o120777, "a")],
    "file behind a link": [member("a", 0o120777, "b"), ("b/x.py", ""), ("a/x.py", "")],
    "long link": [member("a", 0o120777, "b" * 2000)],
    "device": [member("a", 0o020666)],
    "pipe": [member("a", 0o010666)],
    "folder that is a file": [member("a/", 0o100644)],
    "folder with bytes": [("a/", "x")],
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_archives_write_nothing(what: str, tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"a\.zip"):
        unpacked(zip_of([("__init__.py", ""), *HOSTILE[what]]), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip"]


def changed(data: bytes, at: int, layout: str, value: int, record: bytes = b"PK\x01\x02") -> bytes:
    """An archive with a field of its first record of a kind changed."""
    found = bytearray(data)
    struct.pack_into(layout, found, data.index(record) + at, value)
    return bytes(found)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no zip archive"),
        (zip_of([]), "empty"),
        (zip_of([(".git/config", ""), ("a/__pycache__/b.pyc", "")]), "empty"),
        (b"<!doctype html><title>Sign in</title>", "no zip archive"),
        (zip_of(PACK)[:-30], "no zip archive"),
        (zip_of(PACK)[40:], "damaged"),
        (changed(zip_of(PACK), 8, "<H", 1), "encrypted"),
        (changed(zip_of(PACK), 10, "<H", 99), "not usual"),
        (changed(zip_of(PACK), 6, "<H", 64), "damaged"),  # a version of the format that is to come
        (changed(zip_of(PACK), 16, "<L", 1), "damaged"),  # its checksum
        (changed(zip_of(PACK), 42, "<L", 7), "damaged"),  # where its bytes start
        (changed(zip_of(PACK), 12, "<L", 1 << 30, b"PK\x05\x06"), "more files"),
    ],
)
def test_damaged_encrypted_and_no_zip_at_all(data: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(PackError, match=words):
        unpacked(data, tmp_path)


def test_an_index_of_64_bits_is_measured_too(tmp_path: Path) -> None:
    """Python reads it wherever its locator stands, whatever the older record says."""
    data = zip_of(PACK)
    end = data.index(b"PK\x05\x06")
    record = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 3, 3, 1 << 40, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    with pytest.raises(PackError, match="more files"):
        unpacked(data[:end] + record + locator + data[end:], tmp_path)


BOMB = zip_of([("__init__.py", ""), ("zeros.bin", bytes(3_000_000))])


@pytest.mark.parametrize(
    ("data", "limits", "words"),
    [
        (BOMB, replace(USUAL, free_bytes=100_000, ratio=10), "a bomb"),
        (changed(zip_of([("zeros.bin", bytes(3_000_000))]), 24, "<L", 10), USUAL, "damaged"),  # a false size
        (BOMB, replace(USUAL, bytes=10_000), "more than a pack may have"),
        (BOMB, replace(USUAL, unpack_seconds=-1.0), "did not unpack within"),
        (zip_of(PACK), replace(USUAL, files=2), "lists more files"),
    ],
)
def test_bombs(data: bytes, limits: PackLimits, words: str, tmp_path: Path) -> None:
    with pytest.raises(PackError, match=words):
        unpacked(data, tmp_path, limits)
    with pytest.raises(PackError, match="no pack"):
        check_size(len(data), "a.zip", replace(limits, archive_bytes=10))


def test_packed_files_are_no_bombs(tmp_path: Path) -> None:
    """What shrinks to a hundredth is allowed while it is small."""
    assert (unpacked(zip_of([("a.py", "x" * 1_000_000)]), tmp_path) / "a.py").stat().st_size == 1_000_000


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6))
def test_broken_bytes_raise_or_unpack_inside(changes: list[tuple[int, int]], tmp_path: Path) -> None:
    data = bytearray(zip_of({"__init__.py": "x = 1\n", "a/b.py": "y = 2\n"}))
    for at, value in changes:
        data[at % len(data)] = value
    place = tmp_path / "room"
    place.mkdir(exist_ok=True)
    with suppress(PackError):
        unpacked(bytes(data), place)
    assert {path.name for path in tmp_path.iterdir()} == {"room"}
    assert {path.name for path in place.iterdir()} <= {"a.zip", "out"}
    for path in sorted(place.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def test_the_archive_itself_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="cannot be unpacked"):
        unpack(tmp_path / "none.zip", tmp_path / "out", "none.zip")


def test_methods_of_packing(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("__init__.py", "stored")
    assert (unpacked(buffer.getvalue(), tmp_path) / "__init__.py").read_text() == "stored"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("__init__.py", "x")
    with pytest.raises(PackError, match="not usual"):
        unpack(_written(buffer, tmp_path / "b.zip"), tmp_path / "out2", "b.zip")


def _written(buffer: io.BytesIO, path: Path) -> Path:
    path.write_bytes(buffer.getvalue())
    return path
