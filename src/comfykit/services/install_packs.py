"""Installing packs: what the words of a person come to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from comfykit.errors import PackError
from comfykit.packs.installed import Pack, signature_of
from comfykit.packs.listing import read_specs
from comfykit.packs.staging import Origin, Staged
from comfykit.packs.tree import tree_hash
from comfykit.services.pack_changes import Workbench
from comfykit.services.pack_plans import ADD, ENABLE, REPLACE, THERE, Allow, Plan, Step


def plan_install(
    work: Workbench,
    texts: Sequence[str],
    *,
    folder: Path,
    resolve_packages: bool = True,
    allow: Allow = lambda named: False,
) -> Plan:
    """Fetch what the texts name (paths are relative to `folder`), and say what installing it changes.

    Raises `PackError` for a text that names no pack, for packs that cannot be had or are known to do harm,
    and where another pack of the name is in the way.
    """
    specs = read_specs(texts, folder=folder)
    steps = [step_for(work.packs, work.stage(spec)) for spec in specs]
    what = f"install {' '.join(spec.text for spec in specs)}"
    return work.plan(what, steps, resolve_packages=resolve_packages, allow=allow)


def step_for(packs: Sequence[Pack], staged: Staged) -> Step:
    """What a pack that was fetched means for those there are."""
    name = staged.origin.name
    same = [pack for pack in packs if pack.name.casefold() == name.casefold()]
    if not same:
        return Step(name, ADD, staged=staged)
    before = next((pack for pack in same if pack.enabled), same[0])
    _check_source(before, staged.origin)
    record = before.record
    if record is not None and record.tree == staged.tree and not has_changed(before):
        return Step(before.name, THERE if before.enabled else ENABLE, before)
    note = ""
    if record is not None and record.tree and has_changed(before):
        note = "its files were changed here; they stay in the snapshot"
    if before.name != name:
        raise PackError(
            f"{name} would lie beside {before.name}, which has the same name in other letters",
            hint=f"comfykit packs remove {before.name}",
        )
    return Step(name, REPLACE, before, staged, note=note)


def has_changed(pack: Pack) -> bool:
    """Whether a pack's files are others than those that came, as far as that is known."""
    record = pack.record
    if record is None or not record.tree:
        return False
    return signature_of(pack.path) != record.signature and tree_hash(pack.path) != record.tree


def _check_source(before: Pack, origin: Origin) -> None:
    """Raise `PackError` where the pack that lies there came from somewhere else."""
    record = before.record
    hint = f"comfykit packs remove {before.name} takes it away first"
    if record is None:
        raise PackError(f"{before.path} is there already, and nobody knows where it came from", hint=hint)
    if record.kind != origin.kind or (origin.kind == "git" and _plain(record.url) != _plain(origin.url)):
        raise PackError(f"{before.name} is installed from {record.url}, not from {origin.url}", hint=hint)


def _plain(url: str) -> str:
    return url.rstrip("/").removesuffix(".git").casefold()
