"""Making a home equal to its lock: what differs, and the change that ends that."""

from __future__ import annotations

import io
import sys
import sysconfig
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from packaging.utils import canonicalize_name

from comfykit.errors import FetchError, PackError
from comfykit.fetch.guide import Guide
from comfykit.fetch.index import HashIndex, open_index
from comfykit.home import Home
from comfykit.packs.environment import Environment, Installed, core, look
from comfykit.packs.installed import Pack, Record, list_packs, read_packages, read_records, signature_of
from comfykit.packs.lock import Lock, LockedModel, LockedPack, lock_path, read_lock
from comfykit.packs.resolution import Change, Resolution
from comfykit.packs.staging import Origin, Staged
from comfykit.packs.tree import tree_hash
from comfykit.packs.uv_tool import Sources
from comfykit.services.install_models import install_models
from comfykit.services.pack_changes import Workbench
from comfykit.services.pack_lock import locked_models, pin_of
from comfykit.services.pack_plans import ADD, DISABLE, ENABLE, REMOVE, REPLACE, Allow, Done, Plan, Step
from comfykit.services.parallel import in_parallel
from comfykit.services.plan_models import plan_models

_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Difference:
    """What a home has otherwise than its lock says.

    `packs` are to be brought, `switched` are there and on instead of off or the reverse, `gone` are there
    and not in the lock. `packages` are those whose version differs, `surplus` those that were installed
    for packs and are not locked. `models` are missing or have other bytes, `unlocked` are files beside them.
    """

    packs: tuple[LockedPack, ...] = ()
    switched: tuple[LockedPack, ...] = ()
    gone: tuple[Pack, ...] = ()
    packages: tuple[str, ...] = ()
    surplus: tuple[str, ...] = ()
    models: tuple[LockedModel, ...] = ()
    unlocked: tuple[str, ...] = ()

    @property
    def is_none(self) -> bool:
        """Whether the home is as locked."""
        parts = (
            self.packs,
            self.switched,
            self.gone,
            self.packages,
            self.surplus,
            self.models,
            self.unlocked,
        )
        return not any(parts)


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
    short = [pack.name for pack in lock.packs if not _is_pinned(pack)] if frozen else []
    if short:
        raise PackError(
            f"{lock_path(home)} does not say what the files of {' and '.join(short)} are, and --frozen fills "
            "nothing in",
            hint="comfykit sync without --frozen does",
        )
    return lock


def difference(
    lock: Lock, home: Home, index: HashIndex, versions: Mapping[str, str], prefix: Path, mine: frozenset[str]
) -> Difference:
    """Compare a home and an environment's `versions` with a lock. `mine` are comfykit's own packages.

    Files are read only where sizes and times do not tell that nobody touched them since.
    """
    packs = list_packs(home)
    records = read_records(home)
    found = {pack.name: pack for pack in packs}
    wanted = {pack.name for pack in lock.packs}
    differing = [pack for pack in lock.packs if not _is_as_locked(pack, found.get(pack.name), records)]
    same = [pack for pack in lock.packs if pack not in differing]
    names = {package.name for package in lock.packages}
    known = {model.path: model for model in locked_models(home, index)}
    return Difference(
        packs=tuple(differing),
        switched=tuple(pack for pack in same if found[pack.name].enabled != pack.enabled),
        gone=tuple(pack for pack in packs if pack.name not in wanted),
        packages=tuple(
            package.name
            for package in lock.packages
            if package.name not in mine and versions.get(package.name) != package.version
        ),
        surplus=tuple(sorted((read_packages(home, prefix) & set(versions)) - names - mine)),
        models=tuple(model for model in lock.models if not _is_there(model, home, index)),
        unlocked=tuple(sorted(set(known) - {model.path for model in lock.models})),
    )


def is_synced(lock: Lock, home: Home, environment: Environment) -> bool:
    """Whether a home is as locked, found out without starting anything; False where that takes more."""
    if environment.python != Path(sys.executable) or not all(map(_is_pinned, lock.packs)):
        return False
    if any("/" in package.version for package in lock.packages):
        return False
    index = open_index(home)
    found = difference(lock, home, index, _versions_by_folders(), Path(sys.prefix), frozenset())
    index.save()
    return found.is_none


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
    if all(map(_is_pinned, lock.packs)):
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

    def bring_models() -> None:
        _fetch(work, sync.models, guide)

    return work.carry_out(sync.plan, run_scripts=run_scripts, further=bring_models if sync.models else None)


def _fetch(work: Workbench, models: Sequence[LockedModel], guide: Guide) -> None:
    text = "".join(map(_manifest_entry, models))
    steps = plan_models(work.home, ["-"], guide=guide, stdin=io.BytesIO(text.encode()))
    outcomes = install_models(work.settings, steps, guide=guide, reporter=work.reporter)
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if failed:
        raise FetchError(
            "; ".join(f"{outcome.entry.path}: {outcome.note}" for outcome in failed),
            hint=failed[0].hint,
        )


def _manifest_entry(model: LockedModel) -> str:
    folder, _, name = model.path.rpartition("/")
    lines = ["\t".join(model.sources), f"  dir=models/{folder}", f"  out={name}"]
    lines += [f"  checksum=sha-256={model.sha256}"] if model.sha256 else []
    return "\n".join(lines) + "\n"


def _staged(work: Workbench, packs: Sequence[LockedPack]) -> list[tuple[LockedPack, Staged]]:
    """Fetch packs, several at a time, and compare them with the lock."""
    staged: dict[str, Staged] = {}
    cancel = threading.Event()

    def bring(pack: LockedPack) -> None:
        origin = Origin(pack.kind, pack.url, pack.commit, pack.version, pack.name, pack.ref, pack.sha256)
        came = work.stage(origin.pinned if _is_pinned(pack) else origin.newest, cancel)
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


def _is_pinned(pack: LockedPack) -> bool:
    """Whether an entry says exactly which files a pack has."""
    return bool(pack.tree)


def _is_as_locked(locked: LockedPack, pack: Pack | None, records: Mapping[str, Record]) -> bool:
    if pack is None or not locked.tree:
        return False
    record = records.get(pack.name)
    if record is not None and record.tree == locked.tree and record.signature == signature_of(pack.path):
        return True
    return tree_hash(pack.path) == locked.tree


def _is_there(model: LockedModel, home: Home, index: HashIndex) -> bool:
    path = home.models / model.path
    try:
        if model.size is not None and path.stat().st_size != model.size:
            return False
        return path.is_file() and (model.sha256 is None or index.sha256(path) == model.sha256)
    except OSError:
        return False


def _versions_by_folders() -> dict[str, str]:
    """Versions of what lies in this interpreter's own folders, from the names of folders alone."""
    found: dict[str, str] = {}
    for folder in dict.fromkeys((sysconfig.get_path("platlib"), sysconfig.get_path("purelib"))):
        for path in Path(folder).glob("*.dist-info"):
            name, _, version = path.name.removesuffix(".dist-info").partition("-")
            found[canonicalize_name(name)] = version
    return found
