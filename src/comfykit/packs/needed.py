"""Which installed packages packs need, with everything below them, and which packs need each."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Parsed
from packaging.utils import canonicalize_name

from comfykit.packs.environment import Installed, applicable, core
from comfykit.packs.one_choice import standing_for
from comfykit.packs.requirements import Wanted


def needed_by_packs(installed: Installed, wanted: Iterable[Wanted]) -> dict[str, tuple[str, ...]]:
    """Names of installed packages with the packs that need them; comfykit's own are left out."""
    kept = core(installed)
    found: dict[str, set[str]] = {}
    for pack in wanted:
        for name in _below(installed, _direct(installed, pack), kept):
            found.setdefault(name, set()).add(pack.pack)
    return {name: tuple(sorted(found[name])) for name in sorted(found)}


def _direct(installed: Installed, wanted: Wanted) -> list[tuple[str, frozenset[str]]]:
    """The packages that a pack names, each with the extras it asks for."""
    found = []
    for requirement in wanted.requirements:
        if requirement.name is None:
            names = [name for name, about in installed.distributions.items() if requirement.url == about.url]
            found += [(name, frozenset(requirement.extras)) for name in names]
            continue
        try:
            marker = Parsed(f"x ; {requirement.marker}").marker if requirement.marker else None
        except InvalidRequirement:
            continue
        if marker is None or marker.evaluate({**installed.markers, "extra": ""}):
            found.append(
                (standing_for(requirement.name, installed.distributions), frozenset(requirement.extras))
            )
    return found


def _below(
    installed: Installed, direct: Sequence[tuple[str, frozenset[str]]], kept: Collection[str]
) -> set[str]:
    todo = deque(direct)
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        name, extras = todo.popleft()
        if name not in installed.distributions or name in kept or (name, extras) in seen:
            continue
        seen.add((name, extras))
        for requirement in applicable(installed.distributions[name].requires, installed.markers, extras):
            below = standing_for(canonicalize_name(requirement.name), installed.distributions)
            todo.append((below, frozenset(requirement.extras)))
    return {name for name, _ in seen}
