"""Going back to what a home was before a change of its packs."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

from comfykit.errors import PackError
from comfykit.events import Warned
from comfykit.packs.environment import Installed, core, look
from comfykit.packs.installed import Pack
from comfykit.packs.resolution import Change, Resolution
from comfykit.packs.snapshots import Snapshot, Was, find_snapshot, kept_models, kept_pack
from comfykit.packs.staging import Origin, Staged
from comfykit.packs.tree import copy_tree
from comfykit.services.pack_changes import Workbench
from comfykit.services.pack_plans import ADD, DISABLE, ENABLE, REMOVE, REPLACE, Plan, Step
from comfykit.services.packs import origin_of


def plan_restore(work: Workbench, number: int) -> Plan:
    """What going back to a snapshot changes: packs, packages, models that were taken away.

    Raises `PackError` where there is no such snapshot, or a pack of it cannot be had any more.
    """
    snapshot = find_snapshot(work.home, number)
    there = {pack.name: pack for pack in work.packs}
    steps = [step for was in snapshot.packs if (step := _step(work, number, was, there.get(was.name)))]
    names = {was.name for was in snapshot.packs}
    steps += [Step(pack.name, REMOVE, pack, enabled=False) for pack in work.packs if pack.name not in names]
    plan = work.plan(f"go back to snapshot {number}", steps, resolve_packages=False)
    models = kept_models(work.home, number).items()
    back = [(kept, place) for path, kept in models if not os.path.lexists(place := work.home.models / path)]
    return replace(
        plan,
        resolution=_packages(work, snapshot),
        lock_text=snapshot.lock,
        back=tuple(back),
        test_imports=False,
    )


def _step(work: Workbench, number: int, was: Was, pack: Pack | None) -> Step | None:
    """What becomes of a pack of the snapshot; None where it is as it was."""
    kept = kept_pack(work.home, number, was.name)
    if kept is None and pack is not None:
        if pack.enabled == was.enabled:
            return None
        return Step(was.name, ENABLE if was.enabled else DISABLE, pack, enabled=was.enabled)
    staged = _brought(work, was, kept)
    action = ADD if pack is None else REPLACE
    return Step(was.name, action, pack, staged, enabled=was.enabled, record=was.record)


def _brought(work: Workbench, was: Was, kept: Path | None) -> Staged:
    """A copy of what was kept; from where it came from, if somebody took it away by other means."""
    pack = Pack(was.name, Path(was.name), was.enabled, was.record)
    if kept is None:
        return work.stage(origin_of(pack).pinned)
    copy = work.transaction.staging / was.name
    if kept.is_dir():
        shutil.copytree(kept, copy, symlinks=True)
    else:
        copy_tree(kept, copy)
    origin = Origin("folder", "", None, None, was.name) if was.record is None else origin_of(pack)
    return Staged(copy, origin, was.record.tree if was.record else "")


def _packages(work: Workbench, snapshot: Snapshot) -> Resolution | None:
    """Back to the packages of then; what comfykit stands on stays as it is."""
    installed = look(work.environment)
    if snapshot.python != str(work.environment.python):
        work.reporter(Warned(f"the snapshot is of {snapshot.python}; the packages here stay as they are"))
        return None
    names = _differing(snapshot, installed)
    now = installed.frozen()
    pins = [_pin(name, snapshot.packages[name]) for name in names if name in snapshot.packages]
    return Resolution(
        tuple(Change(name, now.get(name), snapshot.packages.get(name)) for name in names),
        pins=tuple(pins),
        before=now,
    )


def _differing(snapshot: Snapshot, installed: Installed) -> list[str]:
    now, mine = installed.frozen(), core(installed)
    names = sorted({*now, *snapshot.packages} - mine)
    return [name for name in names if now.get(name) != snapshot.packages.get(name)]


def _pin(name: str, value: str) -> str:
    if value.startswith("-e "):
        raise PackError(f"{name} was an editable installation ({value[3:]})", hint=f"pip install {value}")
    return f"{name} @ {value}" if "/" in value else f"{name}=={value}"
