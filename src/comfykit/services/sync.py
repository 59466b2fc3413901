"""Making a home equal to its lock: what differs, and the change that ends that."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from comfykit.errors import PackError
from comfykit.fetch.guide import Guide
from comfykit.fetch.index import open_index
from comfykit.home import Home
from comfykit.packs.environment import Installed, core, look
from comfykit.packs.installed import Pack, Record
from comfykit.packs.lock import Lock, LockedModel, LockedPack, lock_path, read_lock
from comfykit.packs.resolution import Change, Resolution
from comfykit.packs.staging import Origin, Staged
from comfykit.packs.uv_tool import Sources
from comfykit.services.lock_difference import Difference, difference, is_pinned
from comfykit.services.pack_changes import Workbench
from comfykit.services.pack_lock import pin_of
from comfykit.services.pack_plans import ADD, DISABLE, ENABLE, REMOVE, REPLACE, Allow, Done, Plan, Step
from comfykit.services.parallel import in_parallel
from comfykit.services.sync_models import bring_models

_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """A change that makes a home equal to its lock; `models` are to be fetched."""

    plan: Plan
    lock: Lock
    models: tuple[LockedModel, ...] = ()
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return self.plan.is_empty and not self.models


def needed_lock(home: Home, *, frozen: bool = False) -> Lock:
    """The lock of a home. Raises `PackError` where there is none; with `frozen`, where it says too little."""
    lock = read_lock(home)
    if lock is None:
        raise PackError(
            f"there is no {lock_path(home)}",
            hint="comfykit install-nodes writes one, and comfykit packs lock does for what is there",
        )
    short = [pack.name for pack in lock.packs if not is_pinned(pack)] if frozen else []
    if short:
        raise PackError(
            f"{lock_path(home)} does not say what the files of {' and '.join(short)} are, and --frozen fills "
            "nothing in",
            hint="comfykit sync without --frozen does",
        )
    return lock


def plan_sync(work: Workbench, lock: Lock, *, allow: Allow = lambda named: False) -> SyncPlan:
    """Fetch the packs that differ, and say what making the home equal to its lock changes.

    Raises `PackError` where a pack comes with other files than the lock says, or a model cannot be had.
    """
    home, index = work.home, open_index(work.home)
    installed = look(work.environment)
    mine = core(installed)
    found = difference(lock, home, index, installed.frozen(), installed.prefix, mine)
    index.save()
    homeless = [model.path for model in found.models if not model.sources]
    homeless += [pack.name for pack in found.packs if not pack.url]
    if homeless:
        raise PackError(
            f"the lock does not say where {' and '.join(homeless)} can be had",
            hint="put them there by hand, or take them out of the lock",
        )
    there = {pack.name: pack for pack in work.packs}
    steps = [_bringing(pack, there.get(pack.name), staged) for pack, staged in _staged(work, found.packs)]
    steps += [
        Step(pack.name, ENABLE if pack.enabled else DISABLE, there[pack.name], enabled=pack.enabled)
        for pack in found.switched
    ]
    steps += [Step(pack.name, REMOVE, pack, enabled=False) for pack in found.gone]
    if all(map(is_pinned, lock.packs)):
        plan = work.plan("sync", steps, resolve_packages=False)
        plan = replace(
            plan, resolution=_locked_packages(lock, found, installed), lock=lock, test_imports=False
        )
    else:
        plan = work.plan("sync", steps, allow=allow)
    aside = [home.models / path for path in found.unlocked]
    aside += [place for model in found.models if (place := home.models / model.path).exists()]
    return SyncPlan(
        replace(plan, models=tuple(aside)), lock, found.models, tuple(_notes(lock, installed, mine))
    )


def carry_out_sync(work: Workbench, sync: SyncPlan, guide: Guide, *, run_scripts: bool = False) -> Done:
    """Do it, all or nothing; models that were fetched stay also where the rest fails."""

    def bring() -> None:
        bring_models(sync.models, work.settings, guide, work.reporter)

    return work.carry_out(sync.plan, run_scripts=run_scripts, further=bring if sync.models else None)


def _staged(work: Workbench, packs: Sequence[LockedPack]) -> list[tuple[LockedPack, Staged]]:
    """Fetch packs, several at a time, and compare them with the lock."""
    staged: dict[str, Staged] = {}
    cancel = threading.Event()

    def bring(pack: LockedPack) -> None:
        origin = Origin(pack.kind, pack.url, pack.commit, pack.version, pack.name, pack.ref, pack.sha256)
        came = work.stage(origin.pinned if is_pinned(pack) else origin.newest, cancel)
        if pack.tree and came.tree != pack.tree:
            raise PackError(
                f"{pack.name} from {pack.url} has other files than the lock says",
                hint="somebody changed it there; comfykit install-nodes takes it as it is now",
                wanted=pack.tree,
                found=came.tree,
            )
        staged[pack.name] = came

    if packs:
        _ = work.transaction  # begun by one thread
        in_parallel(min(_AT_ONCE, len(packs)), packs, bring, cancel)
    return [(pack, staged[pack.name]) for pack in packs]


def _bringing(pack: LockedPack, before: Pack | None, staged: Staged) -> Step:
    origin = staged.origin
    record = Record(
        pack.kind,
        pack.url,
        origin.commit,
        pack.version or origin.version,
        staged.tree,
        installed=datetime.now(UTC).isoformat(timespec="seconds"),
        ref=pack.ref,
        sha256=pack.sha256 or origin.sha256,
    )
    note = "its files are others than the lock says" if before is not None else ""
    action = ADD if before is None else REPLACE
    return Step(pack.name, action, before, staged, enabled=pack.enabled, record=record, note=note)


def _locked_packages(lock: Lock, found: Difference, installed: Installed) -> Resolution:
    """The change of packages that a lock asks for; nothing has to be looked up for it."""
    frozen = installed.frozen()
    packages = {package.name: package for package in lock.packages}
    changes = [
        Change(name, frozen.get(name), packages[name].version, packages[name].wanted_by)
        for name in found.packages
    ]
    changes += [Change(name, frozen[name], None) for name in found.surplus]
    return Resolution(
        tuple(changes),
        pins=tuple(pin_of(packages[name]) for name in found.packages),
        before=frozen,
        sources=Sources(indexes=lock.indexes),
    )


def _notes(lock: Lock, installed: Installed, mine: frozenset[str]) -> list[str]:
    notes = []
    python = installed.markers["python_version"]
    if lock.python and lock.python != python:
        notes.append(f"the lock is for Python {lock.python}, and this is {python}")
    wrong = [
        f"{name} {version} (here {here})"
        for name, version in lock.core.items()
        if (here := installed.version(name)) is not None
        and here.partition("+")[0] != version.partition("+")[0]
    ]
    wrong += [
        f"{package.name} {package.version} (here {installed.version(package.name)})"
        for package in lock.packages
        if package.name in mine and installed.version(package.name) != package.version
    ]
    if wrong:
        notes.append(
            f"the lock was written beside {', '.join(wrong)}; what comfykit stands on is not changed"
        )
    return notes
