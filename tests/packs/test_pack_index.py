from __future__ import annotations

import json
from pathlib import Path

import pytest

from comfykit.home import Home
from comfykit.packs import index
from comfykit.packs.index import class_index, remember
from comfykit.packs.places import enabled_packs
from comfykit.packs.probing import Probe


@pytest.fixture
def home(tmp_path: Path) -> Home:
    for name in ("Alpha", "beta", "Off.disabled", ".hidden"):
        folder = tmp_path / "custom_nodes" / name
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(f'NODE_CLASS_MAPPINGS = {{"Shared": S, "Of {name}": C}}')
    (tmp_path / "custom_nodes" / "single.py").write_text('NODE_CLASS_MAPPINGS = {"Of single": C}')
    (tmp_path / "custom_nodes" / "notes.txt").write_text("no pack")
    return Home(tmp_path)


def test_packs_in_the_order_in_which_they_load(home: Home) -> None:
    assert [place.name for place in enabled_packs(home)] == ["Alpha", "beta", "single"]


def test_packs_of_further_folders_come_last(home: Home, tmp_path: Path) -> None:
    (tmp_path / "more" / "Aaa").mkdir(parents=True)
    more = Home(home.root, {"custom_nodes": (tmp_path / "more", tmp_path / "gone")})
    assert [place.name for place in enabled_packs(more)] == ["Alpha", "beta", "single", "Aaa"]


def test_a_class_is_found_by_its_packs(home: Home) -> None:
    found = class_index(home)
    assert found.providers("Of single") == ["single"]
    assert found.providers("Shared") == ["Alpha", "beta"]
    assert found.providers("Of Off") == found.providers("Of Off.disabled") == []
    assert found.unclear() == []


def test_only_packs_that_changed_are_read_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    class_index(home)
    read: list[str] = []
    monkeypatch.setattr(index, "scan", lambda path: read.append(path.name) or index.Entry("", ""))
    class_index(home)
    assert read == []
    (home.root / "custom_nodes" / "beta" / "more.py").write_text("")
    class_index(home)
    assert read == ["beta"]


def test_packs_that_went_are_forgotten(home: Home) -> None:
    class_index(home)
    (home.root / "custom_nodes" / "single.py").unlink()
    assert class_index(home).providers("Of single") == []
    kept = json.loads((home.root / "user" / "comfykit" / "class_index.json").read_text())
    assert list(kept["packs"]) == ["Alpha", "beta"]


def test_what_importing_told_is_kept_until_the_pack_changes(home: Home) -> None:
    (home.root / "custom_nodes" / "single.py").write_text("NODE_CLASS_MAPPINGS = computed()")
    assert class_index(home).unclear() == ["single"]
    remember(home, "single", Probe("single", ("One",), {"Two": "it fails"}))
    found = class_index(home)
    assert (found.providers("One"), found.providers("Two"), found.unclear()) == (["single"], ["single"], [])
    assert found.entries["single"].problems == {"Two": "it fails"}
    assert found.entries["single"].is_current
    (home.root / "custom_nodes" / "single.py").write_text("NODE_CLASS_MAPPINGS = computed(2)")
    assert class_index(home).unclear() == ["single"]


def test_a_failed_import_keeps_what_the_source_says(home: Home) -> None:
    remember(home, "beta", Probe("beta", cause="no cv2", hint="get it"))
    entry = class_index(home).entries["beta"]
    assert (entry.failure, entry.hint, "Of beta" in entry.classes) == ("no cv2", "get it", True)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"packs": {"beta": 3}}', '{"packs": {"beta": {"x": 1}}}'])
def test_a_broken_index_is_made_anew(home: Home, text: str) -> None:
    class_index(home)
    (home.root / "user" / "comfykit" / "class_index.json").write_text(text)
    assert class_index(home).providers("Of beta") == ["beta"]


def test_a_home_without_packs_gets_no_index(tmp_path: Path) -> None:
    assert class_index(Home(tmp_path)).entries == {}
    assert list(tmp_path.iterdir()) == []
