from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from comfykit.errors import PackError
from comfykit.home import Home
from comfykit.packs.transaction import Packages, Transaction, holding, is_unfinished, journal_path, recover


def never(packages: Packages) -> None:
    raise AssertionError(packages)


def content(folder: Path) -> dict[str, str]:
    """Every file below a folder with its text, and every empty folder."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = path.read_text(encoding="utf-8")
        elif not any(path.iterdir()):
            found[path.relative_to(folder).as_posix() + "/"] = ""
    return found


def pack(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with three packs and a lock."""
    for name in ("changed", "removed", "renamed"):
        pack(tmp_path / "home" / "custom_nodes" / name, name)
    (tmp_path / "home" / "comfykit.lock").write_text("old", encoding="utf-8")
    return Home(tmp_path / "home")


def change(home: Home, upto: int = 99) -> Transaction:
    """A transaction that did its first steps of all that there are."""
    transaction = Transaction(home, "1")
    nodes = home.root / "custom_nodes"
    steps = [
        lambda: transaction.replace(nodes / "changed", pack(transaction.staging / "changed", "new")),
        lambda: transaction.replace(nodes / "added", pack(transaction.staging / "added", "new")),
        lambda: transaction.replace(nodes / "removed", None),
        lambda: transaction.rename(nodes / "renamed", nodes / "renamed.disabled"),
        lambda: transaction.write(home.root / "comfykit.lock", "new"),
        lambda: transaction.write(home.root / ".comfykit" / "packs" / "installed.json", "new"),
        lambda: transaction.changes_packages(Packages("/bin/python", {"a": "1"})),
    ]
    for step in steps[:upto]:
        step()
    return transaction


def test_a_change_that_is_committed_stays_and_keeps_what_it_replaced(home: Home) -> None:
    change(home).commit()
    found = content(home.root)
    assert found == {
        "comfykit.lock": "new",
        "custom_nodes/changed/__init__.py": "new",
        "custom_nodes/added/__init__.py": "new",
        "custom_nodes/renamed.disabled/__init__.py": "renamed",
        ".comfykit/packs/installed.json": "new",
        ".comfykit/packs/snapshots/1/kept/custom_nodes/changed/__init__.py": "changed",
        ".comfykit/packs/snapshots/1/kept/custom_nodes/removed/__init__.py": "removed",
    }
    assert recover(home, never) is None


@pytest.mark.parametrize("upto", [0, 4, 7])
def test_a_change_is_taken_back_whatever_it_did_already(home: Home, upto: int) -> None:
    before = content(home.root)
    seen: list[Packages] = []
    change(home, upto).roll_back(seen.append)
    assert content(home.root) == before
    assert seen == ([Packages("/bin/python", {"a": "1"})] if upto == 7 else [])


@pytest.mark.parametrize("upto", range(8))
def test_the_next_process_takes_it_back_from_the_journal(home: Home, upto: int) -> None:
    before = content(home.root)
    change(home, upto)
    assert recover(home, lambda packages: None) == "1"
    assert content(home.root) == before
    assert recover(home, never) is None


def test_a_home_that_was_not_there_is_not_there_again(tmp_path: Path) -> None:
    home = Home(tmp_path / "new" / "home")
    with holding(home):
        transaction = Transaction(home, "1")
        added = pack(transaction.staging / "a", "a")
        transaction.replace(home.root / "custom_nodes" / "a", added)
        transaction.roll_back(never)
    assert list(tmp_path.iterdir()) == []


class Killed(BaseException):
    """The process ends here; nothing below catches it."""


@pytest.mark.parametrize("name", ["rename", "replace", "fsync", "mkdir"])
@pytest.mark.parametrize("calls", [0, 1, 3, 8, 100])
def test_it_may_be_killed_anywhere(
    home: Home, name: str, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(home.root)
    left, real = iter(range(calls)), getattr(os, name)

    def dies(*arguments: object, **options: object) -> object:
        if next(left, None) is None:
            raise Killed
        return real(*arguments, **options)

    with monkeypatch.context() as patching:
        patching.setattr(os, name, dies)
        try:
            change(home).commit()
            killed = False
        except Killed:
            killed = True
    recover(home, lambda packages: None)
    after = {name: text for name, text in content(home.root).items() if not name.endswith("/")}
    assert after == before if killed else after["comfykit.lock"] == "new"
    assert killed or calls > 3


@pytest.mark.parametrize("commits", [True, False])
def test_packs_may_lie_on_another_disk(home: Home, commits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    before, real = content(home.root), os.rename

    def rename(old: str | Path, new: str | Path) -> None:
        if ".comfykit" in f"{old}{new}" and (".comfykit" in str(old)) != (".comfykit" in str(new)):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real(old, new)

    monkeypatch.setattr(os, "rename", rename)
    transaction = change(home)
    assert (home.root / "custom_nodes" / "changed" / "__init__.py").read_text() == "new"
    if commits:
        transaction.commit()
        kept = home.root / ".comfykit" / "packs" / "snapshots" / "1" / "kept" / "custom_nodes"
        assert sorted(path.name for path in kept.iterdir()) == ["changed", "removed"]
    else:
        transaction.roll_back(lambda packages: None)
        assert content(home.root) == before


def test_packages_that_cannot_be_put_back_leave_the_journal_for_the_next_try(home: Home) -> None:
    before = content(home.root)

    def fail(packages: Packages) -> None:
        raise PackError("no network")

    with pytest.raises(PackError, match="no network"):
        change(home).roll_back(fail)
    assert journal_path(home).is_file()
    assert recover(home, lambda packages: None) == "1"
    assert content(home.root) == before


def leave_nothing(state: Path) -> None:
    """Killed before anything was written."""


def leave_a_journal_half_written(state: Path) -> None:
    (state / ".journal.json.new").write_text("{")


def leave_what_git_wrote_after_its_parent_was_gone(state: Path) -> None:
    pack(state / "staging" / "1" / "late", "late")


@pytest.mark.parametrize(
    "leave",
    [leave_nothing, leave_a_journal_half_written, leave_what_git_wrote_after_its_parent_was_gone],
)
def test_what_is_left_without_a_journal_goes_too(home: Home, leave: Callable[[Path], None]) -> None:
    before = content(home.root)
    assert not is_unfinished(home)
    journal_path(home).parent.mkdir(parents=True)
    leave(journal_path(home).parent)
    assert is_unfinished(home)
    assert recover(home, never) is None
    assert not is_unfinished(home)
    assert content(home.root) == before


@pytest.mark.parametrize("text", ["", "{", "[]", "null", json.dumps({"version": 9})])
def test_a_journal_that_cannot_be_read_is_said(home: Home, text: str) -> None:
    journal_path(home).parent.mkdir(parents=True)
    journal_path(home).write_text(text, encoding="utf-8")
    with pytest.raises(PackError, match=r"journal\.json cannot be read"):
        recover(home, never)


def test_one_at_a_time(tmp_path: Path) -> None:
    home, order, waiting = Home(tmp_path / "home"), [], threading.Event()

    def second() -> None:
        with holding(home, tmp_path, waiting=waiting.set):
            order.append("second")

    thread = threading.Thread(target=second)
    with holding(home, tmp_path):
        thread.start()
        assert waiting.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert not home.root.exists()
