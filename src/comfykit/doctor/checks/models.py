"""The weights files that are there can be read, lie where they belong, and no download was left half done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from comfykit.doctor.catalogue import finding, fine
from comfykit.doctor.commands import remove
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding
from comfykit.doctor.sources.models import Leftover
from comfykit.doctor.units import size

NAMED = 3
FETCH = "comfykit install-models MANIFEST"
CODES = {"cut": "CK701", "page": "CK702", "corrupt": "CK703", "denied": "CK704"}


def check(facts: Facts) -> Iterator[Finding]:
    """Judge the model folders."""
    models = facts.models
    if models is None:
        return
    for broken in models.broken:
        said = broken.problem if str(broken.path) in broken.problem else f"{broken.path}: {broken.problem}"
        command = [remove([str(broken.path)])] if broken.kind != "denied" else []
        hint = None if broken.kind == "denied" else f"then fetch it again: {FETCH}"
        yield finding(CODES[broken.kind], said, commands=command, hint=hint)
    for misplaced in models.misplaced:
        code = "CK707" if "diffusers" in misplaced.found else "CK706"
        yield finding(code, f"{misplaced.path} is {misplaced.found}, not {misplaced.expected}")
    if models.leftovers:
        yield _half_done(models.leftovers)
    for paths in models.duplicates:
        yield finding("CK708", f"{_listed(paths)} have the same bytes")
    if models.pickles:
        count = len(models.pickles)
        yield finding("CK709", f"{count} {_files(count)} could run code: {_listed(models.pickles)}")
    sound = models.read - len([broken for broken in models.broken if broken.path.suffix != ".ckpt"])
    if models.read + models.unread == 0:
        yield fine("models", "no safetensors files yet")
    elif sound > 0:
        unread = f"; for {models.unread} more there was no time" if models.unread else ""
        yield fine("models", f"{sound} safetensors {_files(sound)} with a sound header{unread}")


def _half_done(leftovers: tuple[Leftover, ...]) -> Finding:
    count, total = len(leftovers), size(sum(leftover.size for leftover in leftovers))
    names = _listed([leftover.path for leftover in leftovers])
    return finding("CK705", f"{count} partial {_files(count)} of {total} untouched for a day: {names}")


def _listed(paths: Sequence[Path]) -> str:
    names = [str(path) for path in paths[:NAMED]]
    if len(paths) > NAMED:
        names.append(f"{len(paths) - NAMED} more")
    return ", ".join(names)


def _files(count: int) -> str:
    return "file" if count == 1 else "files"
