from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from comfykit.errors import PackError
from comfykit.home import Home
from comfykit.packs.installed import Pack, Record
from comfykit.packs.layout import state_folder
from comfykit.packs.snapshots import (
    Was,
    find_snapshot,
    kept_models,
    kept_pack,
    list_snapshots,
    next_number,
    prune_snapshots,
    take_snapshot,
)

RECORD = Record("zip", "https://h/a.zip", tree="sha256:1")


def take(home: Home, *kept: str) -> int:
    number = next_number(home)
    folder = state_folder(home) / "snapshots" / str(number)
    packs = [Pack("a", home.root / "custom_nodes" / "a", True, RECORD), Pack("b", home.root, False)]
    take_snapshot(
        folder, f"change {number}", packs, python=Path("/p"), packages={"x": "1"}, ours={"x"}, lock="text"
    )
    for name in kept:
        (folder / "kept" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "kept" / name).write_text(str(number), encoding="utf-8")
    return number


def test_a_snapshot_is_read_as_it_was_taken(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert (list_snapshots(home), next_number(home)) == ([], 1)
    take(home)
    snapshot = find_snapshot(home, 1)
    assert snapshot.packs == (Was("a", True, RECORD), Was("b", False, None))
    assert (snapshot.what, snapshot.python, snapshot.packages) == ("change 1", "/p", {"x": "1"})
    assert (snapshot.ours, snapshot.lock) == (("x",), "text")
    with pytest.raises(PackError, match="no snapshot 7") as caught:
        find_snapshot(home, 7)
    assert caught.value.hint == "there are 1"


def test_what_a_pack_was_lies_in_the_first_snapshot_that_has_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    take(home)
    take(home, "custom_nodes/a/__init__.py", "models/vae/x.pt")
    take(home, "custom_nodes/a.disabled/__init__.py", "custom_nodes/.disabled/c/x", "models/vae/x.pt")

    def kept(since: int, name: str) -> str | None:
        place = kept_pack(home, since, name)
        return place and place.relative_to(state_folder(home) / "snapshots").as_posix()

    assert kept(1, "a") == kept(2, "a") == "2/kept/custom_nodes/a"
    assert kept(3, "a") == "3/kept/custom_nodes/a.disabled"
    assert kept(1, "c") == "3/kept/custom_nodes/.disabled/c"
    assert kept(4, "a") is None
    assert kept(1, "b") is None
    (path,) = kept_models(home, 1).items()
    assert path[0] == PurePosixPath("vae/x.pt")
    assert path[1].read_text() == "2"


def test_the_oldest_go(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for _ in range(12):
        take(home)
    prune_snapshots(home, most=3)
    assert [snapshot.number for snapshot in list_snapshots(home)] == [10, 11, 12]
    assert next_number(home) == 13


def test_a_folder_without_a_snapshot_is_passed_over(tmp_path: Path) -> None:
    home = Home(tmp_path)
    take(home)
    broken = state_folder(home) / "snapshots" / "2"
    broken.mkdir()
    (broken / "snapshot.json").write_text("{", encoding="utf-8")
    (state_folder(home) / "snapshots" / "notes").mkdir()
    assert [snapshot.number for snapshot in list_snapshots(home)] == [1]
    assert next_number(home) == 3
