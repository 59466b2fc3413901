"""The weights files that are there can be read, and no download was left half done."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding, Status
from comfykit.doctor.sources.models import Leftover
from comfykit.doctor.units import size

NAMED = 3
FETCH = "comfykit install-models MANIFEST"


def check(facts: Facts) -> Iterator[Finding]:
    """Judge the model folders."""
    models = facts.models
    for broken in models.broken:
        said = broken.problem if str(broken.path) in broken.problem else f"{broken.path}: {broken.problem}"
        hint = f"remove it and fetch it again: {FETCH}" if broken.opened else "make it readable for this user"
        yield Finding("models", Status.FAILURE, said, hint)
    if models.leftovers:
        yield _half_done(models.leftovers)
    sound = models.read - len(models.broken)
    if models.read + models.unread == 0:
        yield Finding("models", Status.OK, "no safetensors files yet")
    elif sound:
        unread = f"; for {models.unread} more there was no time" if models.unread else ""
        yield Finding("models", Status.OK, f"{sound} safetensors {_files(sound)} with a sound header{unread}")


def _half_done(leftovers: tuple[Leftover, ...]) -> Finding:
    count, total = len(leftovers), size(sum(leftover.size for leftover in leftovers))
    names = [str(leftover.path) for leftover in leftovers[:NAMED]]
    if count > NAMED:
        names.append(f"{count - NAMED} more")
    return Finding(
        "models",
        Status.WARNING,
        f"{count} partial {_files(count)} of {total} untouched for a day: {', '.join(names)}",
        f"go on where the download stopped with {FETCH}, or remove what is not wanted",
    )


def _files(count: int) -> str:
    return "file" if count == 1 else "files"
