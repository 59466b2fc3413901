"""The packs that a home has: which there are, and newer ones, fewer, on or off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from comfykit.errors import PackError
from comfykit.home import Home
from comfykit.packs.installed import Pack, find_pack, list_packs
from comfykit.packs.requirements import Wanted, wanted_by
from comfykit.packs.scan import Scan, scan
from comfykit.packs.staging import Origin
from comfykit.services.install_packs import step_for
from comfykit.services.pack_changes import Workbench
from comfykit.services.pack_plans import DISABLE, ENABLE, REMOVE, THERE, Allow, Plan, Step


def chosen_packs(home: Home, names: Sequence[str]) -> list[Pack]:
    """The packs that words mean, or all without words. Raises `PackError` for a word that means none."""
    packs = list_packs(home)
    return [find_pack(packs, name) for name in dict.fromkeys(names)] if names else packs


def plan_update(work: Workbench, names: Sequence[str], *, allow: Allow = lambda named: False) -> Plan:
    """The newest of what was asked for of each pack: of its branch, the registry, its folder or archive.

    Without names, all packs whose source is known. A pack that is off stays off.
    """
    if names:
        packs = [find_pack(work.packs, name) for name in dict.fromkeys(names)]
    else:
        packs = [pack for pack in work.packs if pack.record is not None]
    steps = []
    for pack in packs:
        origin = origin_of(pack)
        step = step_for(work.packs, work.stage(origin.newest))
        if not pack.enabled and step.action == ENABLE:
            step = Step(pack.name, THERE, pack, enabled=False)
        elif not pack.enabled:
            step = Step(pack.name, step.action, pack, step.staged, enabled=False, note=step.note)
        steps.append(step)
    return work.plan(f"update {' '.join(pack.name for pack in packs)}", steps, allow=allow)


def plan_remove(work: Workbench, names: Sequence[str]) -> Plan:
    """Without these packs, and without the packages that were installed for them alone."""
    packs = {pack.path: pack for pack in (find_pack(work.packs, name) for name in names)}
    steps = [Step(pack.name, REMOVE, pack, enabled=False) for pack in packs.values()]
    return work.plan(f"remove {' '.join(step.name for step in steps)}", steps)


def plan_switch(
    work: Workbench, names: Sequence[str], *, enabled: bool, allow: Allow = lambda named: False
) -> Plan:
    """These packs on or off; what a pack needs stays installed while it is off."""
    packs = {pack.path: pack for pack in (find_pack(work.packs, name) for name in names)}
    action = ENABLE if enabled else DISABLE
    steps = [
        Step(pack.name, THERE if pack.enabled == enabled else action, pack, enabled=enabled)
        for pack in packs.values()
    ]
    what = f"{action} {' '.join(step.name for step in steps)}"
    return work.plan(what, steps, resolve_packages=enabled, allow=allow)


def origin_of(pack: Pack) -> Origin:
    """Where a pack came from. Raises `PackError` where nobody knows."""
    record = pack.record
    if record is None or not record.url:
        raise PackError(f"nobody knows where {pack.name} came from", hint="install it from its repository")
    known = {key: value for key, value in asdict(record).items() if key in ORIGIN_FIELDS}
    return Origin(name=pack.name, **known)


ORIGIN_FIELDS = ("kind", "url", "commit", "version", "ref", "sha256")


def look_at(pack: Pack) -> tuple[Scan, Wanted]:
    """What a pack's files say that it offers and needs; none of them is run."""
    return scan(pack.path), wanted_by(pack.path)


def size_of(path: Path) -> int:
    """Bytes of a pack's files, without what git keeps."""
    if path.is_file():
        return path.stat().st_size
    files = (file for file in path.rglob("*") if ".git" not in file.relative_to(path).parts)
    return sum(file.lstat().st_size for file in files if file.is_file() or file.is_symlink())
