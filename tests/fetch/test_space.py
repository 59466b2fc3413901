"""What files need on the disks they go to."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from comfykit.fetch.space import MARGIN_BYTES, Space, spaces


def test_files_of_one_disk_are_added_up_also_in_folders_that_are_not_there_yet(tmp_path: Path) -> None:
    (space,) = spaces(
        [(tmp_path / "a/b/one.pt", 1000), (tmp_path / "two.pt", 500), (tmp_path / "c/three.pt", None)]
    )
    assert (space.folder, space.needed, space.files, space.unknown) == (tmp_path, 1500, 3, 1)
    assert space.free > 0


def test_what_a_partial_file_holds_is_not_needed_again(tmp_path: Path) -> None:
    partial = tmp_path / ".one.pt.part"
    with partial.open("wb") as file:
        file.write(b"x" * 1_000_000)
        file.truncate(50_000_000)  # a hole takes nothing
    (space,) = spaces([(tmp_path / "one.pt", 50_000_000)])
    assert space.needed == 50_000_000 - partial.stat().st_blocks * 512
    assert space.needed > 45_000_000
    (space,) = spaces([(tmp_path / "one.pt", 10)])
    assert space.needed == 0


def test_disks_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    other.mkdir()
    stat = Path.stat

    def of_two_disks(path: Path, **more: bool) -> object:
        status = stat(path, **more)
        return SimpleNamespace(st_dev=-1, st_mode=status.st_mode) if path == other else status

    monkeypatch.setattr(Path, "stat", of_two_disks)
    found = spaces([(tmp_path / "a", 1), (other / "none" / "b", 2), (other / "c", 3)])
    assert [(space.folder, space.needed) for space in found] == [(tmp_path, 1), (other, 5)]


@pytest.mark.parametrize(
    ("needed", "short"), [(0, False), (1000, False), (10**9 - MARGIN_BYTES, False), (10**9, True)]
)
def test_a_margin_stays_free(needed: int, short: bool) -> None:
    assert Space(Path("/"), needed, 10**9, 1).is_short is short


def test_nothing_to_write_fits_onto_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=0))
    assert not spaces([(tmp_path / "a", None)])[0].is_short
    assert spaces([(tmp_path / "a", 1)])[0].is_short
