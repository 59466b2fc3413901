"""What a home has otherwise than its lock says."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from comfykit.fetch.index import HashIndex, open_index
from comfykit.home import Home
from comfykit.packs.environment import Environment
from comfykit.packs.installed import Pack, Record, list_packs, read_packages, read_records, signature_of
from comfykit.packs.lock import Lock, LockedModel, LockedPack
from comfykit.packs.tree import tree_hash
from comfykit.services.pack_lock import locked_models


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
    if environment.python != Path(sys.executable) or not all(map(is_pinned, lock.packs)):
        return False
    if any("/" in package.version for package in lock.packages):
        return False
    index = open_index(home)
    found = difference(lock, home, index, _versions_by_folders(), Path(sys.prefix), frozenset())
    index.save()
    return found.is_none


def is_pinned(pack: LockedPack) -> bool:
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
