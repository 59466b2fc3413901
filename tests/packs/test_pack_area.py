"""Publishing packs, and taking it back: by an exception, by hand, after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from comfykit.errors import Interrupted, PackError
from comfykit.packs import area as areas
from comfykit.packs.area import open_area, recover, set_aside
from comfykit.packs.spec import FOLDER
from comfykit.packs.staging import Origin, Staged, publish
from comfykit.packs.tree import tree_hash
from fetch_support import environment
from pack_sources_support import PACK, write_files


@pytest.fixture(params=["at once", "in two steps"])
def nodes(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`custom_nodes/` with the packs `maths` and `other`, on a system that can or cannot exchange names."""
    if request.param == "in two steps":
        monkeypatch.setattr(areas, "_renameat2", lambda one, other: False)
    write_files(tmp_path / "custom_nodes" / "maths", {"__init__.py": "old"})
    write_files(tmp_path / "custom_nodes" / "other", PACK)
    return tmp_path / "custom_nodes"


def staged(name: str, area: Path) -> Staged:
    folder = write_files(area / name, {"__init__.py": "new"})
    return Staged(folder, Origin(FOLDER, "/", None, None, name), tree_hash(folder))


def state(nodes: Path) -> dict[str, str]:
    return {path.relative_to(nodes).as_posix(): path.read_text() for path in nodes.rglob("*.py")}


def test_what_is_published_stays(nodes: Path) -> None:
    with open_area(nodes) as area:
        fresh, replaced = publish(staged("fresh", area), nodes), publish(staged("maths", area), nodes)
        assert fresh.old is None
        assert replaced.old is not None
        assert (replaced.old / "__init__.py").read_text() == "old"
        assert set_aside(nodes / "other", area).old is not None
    assert state(nodes) == {"fresh/__init__.py": "new", "maths/__init__.py": "new"}
    assert sorted(path.name for path in nodes.iterdir()) == ["fresh", "maths"]


def test_one_change_is_undone(nodes: Path) -> None:
    before = state(nodes)
    with open_area(nodes) as area:
        changes = [publish(staged(name, area), nodes) for name in ("fresh", "maths")]
        changes.append(set_aside(nodes / "other", area))
        for change in (*changes, *changes):  # twice is as once
            change.undo()
            assert change.old is None
    assert state(nodes) == before


@pytest.mark.parametrize("error", [PackError("no"), KeyboardInterrupt(), Interrupted("no")])
def test_an_exception_takes_everything_back(error: BaseException, nodes: Path) -> None:
    before = state(nodes)
    with pytest.raises(type(error)), open_area(nodes) as area:  # noqa: PT012
        publish(staged("fresh", area), nodes)
        publish(staged("maths", area), nodes)
        set_aside(nodes / "other", area)
        raise error
    assert state(nodes) == before
    assert sorted(path.name for path in nodes.iterdir()) == ["maths", "other"]


def test_a_link_is_replaced_and_not_what_it_leads_to(nodes: Path, tmp_path: Path) -> None:
    (nodes / "maths").rename(tmp_path / "mine")
    (nodes / "maths").symlink_to(tmp_path / "mine")
    with open_area(nodes) as area:
        change = publish(staged("maths", area), nodes)
        change.undo()
        assert (nodes / "maths").is_symlink()
        publish(staged("maths2", area), nodes)
    assert (tmp_path / "mine" / "__init__.py").read_text() == "old"


def test_an_area_in_use_is_left_alone(nodes: Path) -> None:
    with open_area(nodes) as area:
        publish(staged("maths", area), nodes)
        assert recover(nodes) == []
        assert area.is_dir()
    assert state(nodes)["maths/__init__.py"] == "new"


KILLED = """
import os, signal, sys
from pathlib import Path
from comfykit.packs import area as areas
from comfykit.packs.area import open_area, set_aside
from comfykit.packs.staging import Origin, Staged, publish

nodes, where, how = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
if how == "in two steps":
    areas._renameat2 = lambda one, other: False

def die(*args):
    os.kill(os.getpid(), signal.SIGKILL)

with open_area(nodes) as area:
    for name in ("fresh", "maths"):
        (area / name).mkdir()
        (area / name / "__init__.py").write_text("new")
    if where == "before the exchange":
        areas._exchange = die
    if where == "between the steps":
        rename, count = Path.rename, []
        def once(self, target):
            if target == nodes / "maths":
                die()
            return rename(self, target)
        Path.rename = once
    for name in ("fresh", "maths"):
        publish(Staged(area / name, Origin("folder", "/", None, None, name), ""), nodes)
    set_aside(nodes / "other", area)
    if where == "at the end":
        die()
"""


@pytest.mark.parametrize(
    ("where", "how"),
    [
        ("before the exchange", "at once"),
        ("between the steps", "in two steps"),
        ("at the end", "at once"),
        ("at the end", "in two steps"),
    ],
)
def test_what_a_killed_process_left_is_taken_back(where: str, how: str, tmp_path: Path) -> None:
    nodes = tmp_path / "custom_nodes"
    write_files(nodes / "maths", {"__init__.py": "old"})
    write_files(nodes / "other", PACK)
    before = state(nodes)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(nodes), where, how],
        env=environment(),
        check=False,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL
    assert any(path.name.endswith(".disabled") for path in nodes.iterdir())
    assert set(recover(nodes)) >= {"fresh"}
    assert state(nodes) == before
    assert sorted(path.name for path in nodes.iterdir()) == ["maths", "other"]
    assert recover(nodes) == []


def leave_area(nodes: Path, *lines: str, done: bool = False) -> Path:
    """An area as a process leaves it that was killed."""
    area = nodes / ".comfykit-x.disabled"
    area.mkdir(parents=True)
    (area / ".lock").touch()
    (area / ".journal").write_text("".join(f"{line}\n" for line in lines))
    if done:
        (area / ".done").touch()
    return area


def record(place: Path, new: str | None, number: int | None) -> str:
    return json.dumps({"place": place.name, "new": new, "aside": f".old-{place.name}", "number": number})


def test_changes_that_were_complete_stay(nodes: Path) -> None:
    leave_area(nodes, record(nodes / "maths", "maths", (nodes / "maths").stat().st_ino), done=True)
    assert recover(nodes) == []
    assert sorted(path.name for path in nodes.iterdir()) == ["maths", "other"]


def test_a_torn_journal_and_an_area_without_a_lock(nodes: Path) -> None:
    area = leave_area(nodes, record(nodes / "gone", None, None), '{"place": "mat')
    write_files(area / ".old-gone", {"__init__.py": "back"})
    assert recover(nodes) == ["gone"]
    assert (nodes / "gone" / "__init__.py").read_text() == "back"
    fresh = nodes / ".comfykit-y.disabled"
    fresh.mkdir()
    assert recover(nodes) == []
    assert fresh.is_dir()  # another process may be about to lock it
    os.utime(fresh, (0, 0))
    recover(nodes)
    assert not fresh.exists()


def test_areas_lie_on_the_file_system_of_the_packs(nodes: Path, tmp_path: Path) -> None:
    link = tmp_path / "home" / "custom_nodes"
    link.parent.mkdir()
    link.symlink_to(nodes)
    with open_area(link) as area:
        publish(staged("maths", area), link)
    assert state(nodes)["maths/__init__.py"] == "new"


def test_a_system_that_cannot_exchange_names_says_so(tmp_path: Path) -> None:
    """The call itself: it exchanges, and says why not where it does not."""
    write_files(tmp_path, {"a": "1", "b": "2"})
    exchanged = areas._renameat2(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").read_text() == ("2" if exchanged else "1")
    with pytest.raises(PackError, match="cannot be replaced"):
        areas._renameat2(tmp_path / "a", tmp_path / "none" / "b")
