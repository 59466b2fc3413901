"""Newer packs, fewer, on and off, and the way back."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from comfykit.errors import PackError
from comfykit.packs.environment import freeze
from comfykit.packs.installed import find_pack, list_packs
from comfykit.packs.lock import read_lock
from comfykit.packs.snapshots import list_snapshots
from comfykit.services.bisect_packs import bisect_packs, search
from comfykit.services.pack_plans import Plan
from comfykit.services.pack_snapshots import plan_restore
from comfykit.services.packs import plan_remove, plan_switch, plan_update
from comfykit.services.write_lock import write_lock
from pack_support import CORE, Place, commit, content, git, pack


def update(place: Place, *names: str) -> Plan:
    with place.changing() as work:
        plan = plan_update(work, names)
        if not plan.is_empty:
            work.carry_out(plan)
        return plan


def test_an_update_follows_the_branch_that_was_asked_for(place: Place) -> None:
    source = pack(place.root / "source" / "Alpha", "thing<2")
    first = commit(source)
    git(source, "branch", "stable")
    pack(source, "thing")
    second = commit(source)
    place.install(f"file://{source}@stable")
    assert update(place).is_empty
    git(source, "branch", "--force", "stable", second)
    (step,) = update(place, "alpha").steps
    assert (step.action, step.staged and step.staged.origin.commit) == ("replace", second)
    assert freeze(place.environment)["thing"] == "1.0"  # it still fits
    lock = read_lock(place.settings.home)
    assert lock is not None
    assert (lock.packs[0].commit, lock.packs[0].ref) == (second, "stable")
    kept = place.home / ".comfykit/packs/snapshots/2/kept/custom_nodes/Alpha"
    assert git(kept, "rev-parse", "HEAD") == first


def test_what_was_changed_by_hand_stays_in_the_snapshot(place: Place) -> None:
    pack(place.root / "Beta")
    place.install("./Beta")
    (place.home / "custom_nodes/Beta/mine.py").write_text("mine")
    (step,) = update(place, "Beta").steps
    assert step.note == "its files were changed here; they stay in the snapshot"
    assert not (place.home / "custom_nodes/Beta/mine.py").exists()
    assert (place.home / ".comfykit/packs/snapshots/2/kept/custom_nodes/Beta/mine.py").read_text() == "mine"


def test_what_only_a_removed_pack_needed_goes_with_it_and_a_snapshot_brings_both_back(place: Place) -> None:
    pack(place.root / "Alpha", "below")
    pack(place.root / "Beta", "thing")
    place.install("./Alpha", "./Beta")
    before = content(place.home / "custom_nodes"), freeze(place.environment)
    lock = (place.home / "comfykit.lock").read_bytes()
    with place.changing() as work:
        done = work.carry_out(plan_remove(work, ["beta"]))
    assert [pack.name for pack in list_packs(place.settings.home)] == ["Alpha"]
    assert freeze(place.environment) == {**CORE, "below": "1.0"}
    after = read_lock(place.settings.home)
    assert after is not None
    assert ([one.name for one in after.packs], [one.name for one in after.packages]) == (["Alpha"], ["below"])
    with place.changing() as work:
        plan = plan_restore(work, done.snapshot)
        assert [(step.name, step.action) for step in plan.steps] == [("Beta", "add")]
        work.carry_out(plan)
    assert (content(place.home / "custom_nodes"), freeze(place.environment)) == before
    assert (place.home / "comfykit.lock").read_bytes() == lock
    whats = [snapshot.what for snapshot in list_snapshots(place.settings.home)]
    assert whats[1:] == ["remove Beta", "go back to snapshot 2"]


def test_a_pack_that_is_off_is_there_and_not_loaded(place: Place) -> None:
    pack(place.root / "Beta", "thing")
    place.install("./Beta")
    for enabled, name in ((False, "Beta.disabled"), (True, "Beta")):
        with place.changing() as work:
            work.carry_out(plan_switch(work, ["Beta"], enabled=enabled))
        assert [path.name for path in (place.home / "custom_nodes").iterdir()] == [name]
        found = find_pack(list_packs(place.settings.home), "Beta")
        assert (found.enabled, found.record is not None) == (enabled, True)
        lock = read_lock(place.settings.home)
        assert lock is not None
        assert lock.packs[0].enabled == enabled
        assert freeze(place.environment)["thing"] == "2.0"
    with place.changing() as work:
        assert plan_switch(work, ["Beta"], enabled=True).is_empty


def test_the_lock_of_a_home_that_comfykit_did_not_make(place: Place) -> None:
    theirs = pack(place.home / "custom_nodes" / "Alpha")
    head = commit(theirs)
    git(theirs, "remote", "add", "origin", "https://example.com/alpha")
    (place.home / "models/vae").mkdir(parents=True)
    (place.home / "models/vae/x.pt").write_bytes(b"weights")
    with place.changing() as work:
        lock = write_lock(work)
    assert read_lock(place.settings.home) == lock
    (alpha,) = lock.packs
    assert (alpha.url, alpha.commit) == ("https://example.com/alpha", head)
    assert alpha.tree.startswith("sha256:")
    (model,) = lock.models
    assert (model.path, model.size, len(model.sha256 or "")) == ("vae/x.pt", 7, 64)


def test_bisecting_switches_packs_off_and_on_again(place: Place) -> None:
    for name in ("a", "b", "c", "d.py"):
        if name.endswith(".py"):
            (place.home / "custom_nodes" / name).touch()
        else:
            pack(place.home / "custom_nodes" / name)
    before = content(place.home)
    nodes = place.home / "custom_nodes"

    def is_good(names: Collection[str]) -> bool:
        assert {path.name for path in nodes.iterdir() if path.suffix != ".disabled"} == set(names)
        return not (nodes / "c").exists()

    with place.changing() as work:
        assert bisect_packs(work, work.packs, is_good) == ["c"]
    assert content(place.home) == before


@pytest.mark.parametrize("guilty", [{"c"}, {"a", "h"}, {"b", "c", "g"}])
def test_the_fewest_that_fail_together_are_found(guilty: set[str]) -> None:
    tries: list[int] = []

    def is_good(names: Collection[str]) -> bool:
        tries.append(len(names))
        return not guilty <= set(names)

    assert set(search("abcdefgh", is_good)) == guilty
    assert len(tries) < 20


@pytest.mark.parametrize(
    ("names", "good", "said"),
    [("", True, "no pack is on"), ("ab", False, "fails without any pack"), ("ab", True, "works with all")],
)
def test_there_may_be_nothing_to_find(names: str, good: bool, said: str) -> None:
    with pytest.raises(PackError, match=said):
        search(names, lambda on: good)


def test_a_pack_of_an_unknown_source_cannot_be_brought_up_to_date(place: Place) -> None:
    pack(place.home / "custom_nodes" / "Mine")
    with pytest.raises(PackError, match="nobody knows where Mine came from"):
        update(place, "mine")
    assert update(place).is_empty


def test_a_snapshot_that_is_not_there(place: Place, tmp_path: Path) -> None:
    with pytest.raises(PackError, match="there is no snapshot 3"), place.changing() as work:
        plan_restore(work, 3)
    assert not place.home.exists()
