"""Writing down what a home has."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from comfykit.fetch.index import HashIndex
from comfykit.home import Home
from comfykit.packs.environment import NEEDED, Installed
from comfykit.packs.installed import Pack
from comfykit.packs.lock import Lock, LockedModel, LockedPack, LockedPackage
from comfykit.packs.needed import needed_by_packs
from comfykit.packs.requirements import Wanted
from comfykit.packs.tree import tree_hash
from comfykit.services.models import Model, list_models

_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[^\]]*\])?\s*(==|@)")
_HASH = re.compile(r"--hash=(?P<hash>[a-z0-9]+:[0-9a-f]+)")


def lock_of(
    home: Home,
    packs: Sequence[Pack],
    installed: Installed,
    wanted: Sequence[Wanted],
    *,
    hashes: Mapping[str, tuple[str, ...]],
    index: HashIndex,
    indexes: Sequence[str] = (),
    before: Lock | None = None,
) -> Lock:
    """The lock of a home as it is now. `hashes` are those of packages that came just now.

    What `before` knows of packages that did not change since is kept.
    """
    known = {package.name: package for package in before.packages} if before else {}
    packages = []
    for name, needing in needed_by_packs(installed, wanted).items():
        version = installed.distributions[name].frozen
        old = known.get(name)
        kept = old.hashes if old is not None and old.version == version else ()
        packages.append(LockedPackage(name, version, tuple(sorted(hashes.get(name, kept))), needing))
    further = (*indexes, *(before.indexes if before else ()))
    return Lock(
        packs=tuple(locked_pack(pack) for pack in packs),
        packages=tuple(packages),
        models=locked_models(home, index),
        python=installed.markers["python_version"],
        core={name: found for name in NEEDED if (found := installed.version(name)) is not None},
        indexes=tuple(dict.fromkeys(further)) if packages else (),
    )


def locked_pack(pack: Pack) -> LockedPack:
    """A pack's entry; one that nobody knows the source of has only its name."""
    record = pack.record
    if record is None:
        return LockedPack(pack.name, "folder", "", tree=tree_hash(pack.path), enabled=pack.enabled)
    return LockedPack(
        pack.name,
        record.kind,
        record.url,
        record.commit,
        record.version,
        record.tree or tree_hash(pack.path),
        pack.enabled,
        record.ref,
        record.sha256,
    )


def locked_models(home: Home, index: HashIndex) -> tuple[LockedModel, ...]:
    """Entries of the models that lie in the home, with what is known of them without reading them."""
    found = {}
    for model in list_models(home, index):
        if model.target is not None and not model.packaged:
            path = str(model.target)
            found[path] = LockedModel(path, model.size, _sha256(model), _sources(model))
    return tuple(found[path] for path in sorted(found))


def hashes_of(pins: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Hashes by package, from lines of a requirements file."""
    found = {}
    for pin in pins:
        match = _PIN.match(pin)
        if match is not None:
            found[match["name"]] = tuple(_HASH.findall(pin))
    return found


def pin_of(package: LockedPackage) -> str:
    """The line of a requirements file that installs a locked package."""
    hashes = "".join(f" --hash={one}" for one in package.hashes)
    if package.version.startswith("-e "):
        return package.version
    joined = (
        f"{package.name} @ {package.version}"
        if "/" in package.version
        else f"{package.name}=={package.version}"
    )
    return joined + hashes


def _sha256(model: Model) -> str | None:
    kept = model.provenance
    return model.sha256 or (kept.sha256 if kept is not None and kept.fits(model.size, None) else None)


def _sources(model: Model) -> tuple[str, ...]:
    kept = model.provenance
    return kept.urls if kept is not None and kept.fits(model.size, model.sha256) else ()
