"""Making a home equal to its lock."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest

from comfykit.errors import FetchError, PackError
from comfykit.fetch.guide import Guide
from comfykit.fetch.provenance import Provenance, record_provenance
from comfykit.packs.environment import freeze
from comfykit.packs.lock import Lock, LockedModel, LockedPack, lock_path, read_lock, render_lock
from comfykit.packs.tree import tree_hash
from comfykit.services.pack_snapshots import plan_restore
from comfykit.services.sync import SyncPlan, carry_out_sync, needed_lock, plan_sync
from comfykit.services.write_lock import write_lock
from fetch_support import Server, safetensors, serving, sha256
from pack_support import CORE, Place, commit, make_place, pack, wheel

A, B = safetensors(100, 1), safetensors(2000, 2)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({"/a.safetensors": A, "/b.safetensors": B}) as running:
        yield running


@pytest.fixture
def there(place: Place, server: Server) -> Place:
    """A home with two packs, two packages and a model, all of it locked."""
    pack(place.root / "source" / "Alpha", "thing<2", classes=("A",))
    commit(place.root / "source" / "Alpha")
    pack(place.root / "Beta")
    place.install(f"file://{place.root}/source/Alpha", "./Beta")
    vae = place.home / "models" / "vae"
    vae.mkdir(parents=True)
    (vae / "a.safetensors").write_bytes(A)
    kept = Provenance((f"{server.url}/a.safetensors",), len(A), sha256(A))
    record_provenance(place.settings.home, {(vae / "a.safetensors").relative_to(place.home / "models"): kept})
    with place.changing() as work:
        write_lock(work)
    return place


def elsewhere(place: Place) -> Place:
    """An empty home and environment with the lock of another."""
    other = make_place(place.root, "other")
    other.home.mkdir()
    shutil.copy(lock_path(place.settings.home), other.home)
    return other


def sync(place: Place, *, frozen: bool = False) -> SyncPlan:
    with place.changing() as work:
        found = plan_sync(work, needed_lock(place.settings.home, frozen=frozen))
        if not found.is_empty:
            carry_out_sync(work, found, Guide())
        return found


def trees(place: Place) -> tuple[str, str]:
    return tree_hash(place.home / "custom_nodes"), tree_hash(place.home / "models")


def test_an_empty_home_becomes_what_the_lock_says_and_then_nothing_is_done(there: Place) -> None:
    other = elsewhere(there)
    lock = lock_path(other.settings.home).read_bytes()
    sync(other, frozen=True)
    assert trees(other) == trees(there)
    assert freeze(other.environment) == freeze(there.environment) == {**CORE, "below": "1.0", "thing": "1.0"}
    assert lock_path(other.settings.home).read_bytes() == lock
    before = other.state()
    assert sync(other, frozen=True).is_empty
    assert sync(there).is_empty
    assert other.state() == before


def test_what_differs_is_added_changed_and_removed(there: Place) -> None:
    before = trees(there)
    nodes, models = there.home / "custom_nodes", there.home / "models"
    (nodes / "Alpha" / "__init__.py").write_text("changed")
    shutil.rmtree(nodes / "Beta")
    (models / "vae" / "a.safetensors").write_bytes(B)
    (models / "vae" / "extra.safetensors").write_bytes(B)
    found = sync(there)
    assert [(step.name, step.action) for step in found.plan.steps] == [("Alpha", "replace"), ("Beta", "add")]
    assert trees(there) == before
    kept = there.home / ".comfykit/packs/snapshots/2/kept"
    assert (kept / "custom_nodes/Alpha/__init__.py").read_text() == "changed"
    assert (kept / "models/vae/extra.safetensors").read_bytes() == B
    assert sync(there).is_empty
    with there.changing() as work:
        work.carry_out(plan_restore(work, 2))
    assert (models / "vae" / "extra.safetensors").read_bytes() == B


def test_packs_that_are_not_locked_go_with_their_packages(there: Place) -> None:
    before, lock = trees(there), lock_path(there.settings.home).read_bytes()
    pack(there.root / "Gamma", "rare")
    pack(there.home / "custom_nodes" / "Mine")
    wheel(there.wheels, "rare", "1.0")
    there.install("./Gamma")
    assert freeze(there.environment)["rare"] == "1.0"
    lock_path(there.settings.home).write_bytes(lock)
    found = sync(there)
    assert {(step.name, step.action) for step in found.plan.steps} == {
        ("Gamma", "remove"),
        ("Mine", "remove"),
    }
    assert trees(there) == before
    assert "rare" not in freeze(there.environment)


def test_other_files_than_locked_are_refused(there: Place) -> None:
    pack(there.root / "Beta", code="changed = 1")
    other = elsewhere(there)
    before = other.state()
    with pytest.raises(PackError, match=r"Beta from .* has other files than the lock says"):
        sync(other)
    assert other.state() == before


def test_a_package_with_another_hash_is_refused(there: Place) -> None:
    wheel(there.wheels, "below", "1.0", ["thing"])  # the same name, other bytes
    other = elsewhere(there)
    text = lock_path(other.settings.home).read_text()
    found = read_lock(other.settings.home)
    assert found is not None
    hashes = {package.name: package.hashes[0] for package in found.packages}
    lock_path(other.settings.home).write_text(text.replace(hashes["below"], hashes["thing"]))
    before = other.state()
    with pytest.raises(PackError, match="nothing was changed"):
        sync(other)
    assert other.state() == before


def test_a_model_that_cannot_be_had_stops_it(there: Place, server: Server) -> None:
    other = elsewhere(there)
    server.answers["/a.safetensors"] = B
    before = other.state()
    with pytest.raises(FetchError, match=r"models/vae/a\.safetensors"):
        sync(other)
    assert other.state()[1] == before[1]
    assert not (other.home / "custom_nodes").exists()


def test_a_lock_written_by_hand_is_filled_in_unless_frozen(place: Place) -> None:
    pack(place.root / "source" / "Alpha", "thing")
    head = commit(place.root / "source" / "Alpha")
    place.home.mkdir()
    hand = Lock(packs=(LockedPack("Alpha", "git", f"file://{place.root}/source/Alpha"),))
    lock_path(place.settings.home).write_text(render_lock(hand))
    with pytest.raises(PackError, match="does not say what the files of Alpha are"):
        sync(place, frozen=True)
    sync(place)
    lock = read_lock(place.settings.home)
    assert lock is not None
    assert lock.packs[0].commit == head
    assert lock.packs[0].tree == tree_hash(place.home / "custom_nodes" / "Alpha")
    assert [package.name for package in lock.packages] == ["below", "thing"]
    assert sync(place, frozen=True).is_empty


@pytest.mark.parametrize("kind", ["pack", "model", "none"])
def test_a_lock_that_says_too_little_is_said(place: Place, kind: str) -> None:
    lock = {
        "pack": Lock(packs=(LockedPack("Alpha", "folder", "", tree="sha256:0"),)),
        "model": Lock(models=(LockedModel("vae/x.pt", 3, "0" * 64),)),
    }.get(kind)
    said = {"pack": "Alpha can be had", "model": "vae/x.pt can be had", "none": "there is no "}[kind]
    if lock is not None:
        place.home.mkdir()
        lock_path(place.settings.home).write_text(render_lock(lock))
    with pytest.raises(PackError, match=said):
        sync(place)


def test_the_core_is_never_changed_by_a_lock(there: Place) -> None:
    other = elsewhere(there)
    lock = read_lock(other.settings.home)
    assert lock is not None
    numpy = replace(lock.packages[0], name="numpy", version="1.0", hashes=())
    core = {**lock.core, "torch": "2.0"}
    lock_path(other.settings.home).write_text(
        render_lock(replace(lock, packages=(*lock.packages, numpy), core=core))
    )
    found = sync(other)
    assert freeze(other.environment)["numpy"] == CORE["numpy"]
    assert "torch 2.0 (here 2.13.0+cpu), numpy 1.0 (here 2.4.6)" in " ".join(found.notes)
