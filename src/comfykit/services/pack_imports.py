"""The import test of packs, each in a process and a home of its own."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from comfykit.errors import PackError
from comfykit.events import PackStep, Reporter
from comfykit.home import Home
from comfykit.packs.environment import Environment
from comfykit.packs.installed import list_packs, path_of
from comfykit.packs.layout import packs_folder
from comfykit.packs.probing import Probe, probe_pack


def import_packs(
    home: Home, names: Sequence[str], scratch: Path, environment: Environment, reporter: Reporter
) -> dict[str, Probe]:
    """Import packs of a home, so that nothing they write while they do lands in it.

    Raises `PackError` that names those that cannot be imported, with the reasons.
    """
    results = {}
    for name in names:
        reporter(PackStep(name, "testing its import"))
        results[name] = _import_copy(home, name, scratch / "import", environment)
    failed = [result for result in results.values() if not result.is_imported]
    if failed:
        raise PackError(
            "; ".join(f"{result.pack} cannot be imported: {result.cause}" for result in failed),
            hint="; ".join(dict.fromkeys(result.hint for result in failed if result.hint)) or None,
            packs=[result.pack for result in failed],
        )
    return results


def _import_copy(home: Home, name: str, scratch: Path, environment: Environment) -> Probe:
    """Import a copy of a pack in a home that has the others as links, as packs may import each other."""
    nodes = scratch / packs_folder(home).name
    nodes.mkdir(parents=True)
    try:
        for pack in list_packs(home):
            if pack.enabled and pack.name != name:
                (nodes / pack.name).symlink_to(pack.path)
        source, copy = path_of(home, name, enabled=True), nodes / name
        if source.is_dir():
            shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        else:
            shutil.copy(source, copy)
        result = probe_pack(copy, scratch, environment)
        cause = result.cause and result.cause.replace(str(copy), str(source))
        return replace(result, pack=name, cause=cause)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
