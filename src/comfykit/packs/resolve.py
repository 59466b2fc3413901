"""What all packs need, resolved together: uv does the work, and the core's versions stand.

`resolve` changes nothing. `apply` and `restore`, which do, are in `change.py` and can be had from here.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from comfykit.packs.beside_torch import (
    constraints_for,
    fitting,
    without_build,
    without_missing,
    without_unfitting,
)
from comfykit.packs.change import apply, restore
from comfykit.packs.conflicts import explain
from comfykit.packs.environment import Environment, Installed, applicable, core, look
from comfykit.packs.numpy_two import first_builds
from comfykit.packs.one_choice import FAMILIES, choose
from comfykit.packs.overrule import Asked, ask
from comfykit.packs.requirement_lines import Requirement
from comfykit.packs.requirements import PROJECT, REQUIREMENTS, Wanted
from comfykit.packs.resolution import Change, Conflict, Resolution
from comfykit.packs.solver import Pin, Plan, Refusal, Solver
from comfykit.packs.uv_tool import Sources

__all__ = ["Change", "Conflict", "Resolution", "apply", "resolve", "restore"]

_UNKNOWN = re.compile(r"(\S+) was not found in the (?:package registry|provided package locations)")


def resolve(
    wanted: Sequence[Wanted],
    environment: Environment,
    *,
    sources: Sources | None = None,
    refused: Sequence[str] = (),
) -> Resolution:
    """Find what all these packs need together; never changes anything.

    `refused` are specifiers of versions that must not come ("ultralytics!=8.3.41"). Raises `PackError` where
    packages cannot be looked up at all; what packs disagree about is in the answer.
    """
    sources = sources or Sources()
    installed = look(environment)
    kept = core(installed) | fitting(installed)
    asked = ask(wanted, installed, kept)
    nothing = Resolution(
        conflicts=_python_conflicts(wanted, installed),
        overruled=tuple(asked.overruled),
        before=installed.frozen(),
        sources=sources,
    )
    with tempfile.TemporaryDirectory(prefix="comfykit-resolve-") as folder:
        constraints = (
            *_pinned(installed, kept),
            *constraints_for(installed, kept),
            *(f"{name}>={first}" for name, first in first_builds(installed.version("numpy")).items()),
            *asked.constraints,
            *refused,
        )
        left_out = frozenset(asked.left_out) | without_build(asked, installed, kept)
        solver = Solver(Path(folder).resolve(), environment, installed, sources, constraints, left_out)
        solver, plan = _one_of_each(solver, asked)
        solver, plan = _without_unknown(solver, asked, plan)
        if isinstance(plan, Refusal):
            solver, plan = without_missing(solver, asked, plan)
        solver, plan = without_unfitting(solver, asked, plan)
        if isinstance(plan, Refusal):
            found = explain(solver, asked, plan, kept)
            return replace(nothing, conflicts=nothing.conflicts + found, notes=tuple(asked.notes))
        pins = solver.pins(asked.packs, plan)
    changes = _changes(plan, pins, asked, installed)
    return replace(
        nothing,
        changes=changes,
        notes=(*asked.notes, *_suffering(changes, installed)),
        pins=tuple(_demanded(pin, asked).line for pin in pins),
        sources=solver.sources,
    )


def _pinned(installed: Installed, kept: frozenset[str]) -> list[str]:
    """The core, as constraints."""
    found = []
    for name in sorted(kept):
        version = installed.distributions[name].version
        try:
            found.append(f"{name}=={Version(version)}")
        except InvalidVersion:
            continue
    return found


def _one_of_each(solver: Solver, asked: Asked) -> tuple[Solver, Plan | Refusal]:
    """A plan in which no two packages bring the same module, also where libraries ask for several."""
    plan = solver.plan(asked.packs)
    for family in FAMILIES:
        if isinstance(plan, Refusal):
            break
        coming = [name for name in family if plan.changes.get(name, (None, None))[1]]
        if len(coming) < 2:
            continue
        chosen = choose(family, coming, (), cuda="onnxruntime-gpu" in coming)
        asked.notes.append(f"{chosen} is the one choice for {', '.join(coming)}: they bring the same module")
        solver = solver.without(name for name in family if name != chosen)
        solver = replace(solver, added=(*solver.added, str(chosen)))
        plan = solver.plan(asked.packs)
    return solver, plan


def _without_unknown(solver: Solver, asked: Asked, plan: Plan | Refusal) -> tuple[Solver, Plan | Refusal]:
    """The same without packages that no index has, where no first list of a pack's names them.

    Other installers follow `requirements.txt`; a `pyproject.toml` beside it may never have been tried.
    """
    while isinstance(plan, Refusal) and (found := _UNKNOWN.search(plan.text)):
        name = canonicalize_name(found[1])
        wants = asked.by_name.get(name, [])
        if name in solver.excludes or not wants or not all(_may_do_without(one, asked) for one in wants):
            break
        said = ", ".join(one.where for one in wants)
        asked.notes.append(f"{name} is left out: no index has it ({said}; no requirements.txt names it)")
        solver = solver.without([name])
        plan = solver.plan(asked.packs)
    return solver, plan


def _may_do_without(requirement: Requirement, asked: Asked) -> bool:
    """Whether a pack imports a package and lists it nowhere, or lists it beside `requirements.txt` only."""
    if requirement.file.endswith(".py"):
        return True
    return requirement.file == PROJECT and any(
        other.pack == requirement.pack and other.file == REQUIREMENTS
        for them in asked.by_name.values()
        for other in them
    )


def _python_conflicts(wanted: Sequence[Wanted], installed: Installed) -> tuple[Conflict, ...]:
    python = installed.markers["python_full_version"]
    found = []
    for of in wanted:
        try:
            runs = of.requires_python is None or python in SpecifierSet(of.requires_python, prereleases=True)
        except InvalidSpecifier:
            continue
        if not runs:
            message = f"{of.pack} runs on Python {of.requires_python}, and this is {python}"
            found.append(Conflict((of.pack,), "python", message, f"leave {of.pack} out"))
    return tuple(found)


def _changes(plan: Plan, pins: Sequence[Pin], asked: Asked, installed: Installed) -> tuple[Change, ...]:
    packs = {pin.name: pin.wanted_by for pin in pins}
    found = [
        Change(name, before, after, packs.get(name) or _through_installed(name, asked, installed))
        for name, (before, after) in plan.changes.items()
    ]
    # Another member of a family comes: the one that is installed goes, or they would share their files.
    for family in FAMILIES:
        coming = next((change for change in found if change.name in family and change.after), None)
        if coming is not None:
            found += [
                Change(name, installed.distributions[name].frozen, None, coming.wanted_by)
                for name in family
                if name in installed.distributions and name not in plan.changes
            ]
    return tuple(sorted(found, key=lambda change: change.name))


def _through_installed(name: str, asked: Asked, installed: Installed) -> tuple[str, ...]:
    """The packs that want a package through one that is installed already, such as an extra of the core."""
    above = {name}
    while True:
        more = {
            found.name
            for found in installed.distributions.values()
            if above & {canonicalize_name(re.split(r"[^\w.-]", text.strip())[0]) for text in found.requires}
        }
        if more <= above:
            break
        above |= more
    return tuple(
        dict.fromkeys(one.pack for other, them in asked.by_name.items() if other in above for one in them)
    )


def _suffering(changes: Sequence[Change], installed: Installed) -> list[str]:
    """Installed packages whose own requirements a change no longer meets; none of them is of the core."""
    versions = {change.name: change.after for change in changes if change.before is not None}
    notes = []
    for found in installed.distributions.values():
        if found.name in versions:
            continue
        for requirement in applicable(found.requires, installed.markers):
            before, after = installed.version(requirement.name), versions.get(requirement.name)
            if (
                before
                and after
                and "/" not in after
                and requirement.specifier.contains(before, prereleases=True)
                and not requirement.specifier.contains(after, prereleases=True)
            ):
                notes.append(f"{found.name} {found.version}, which is installed, needs {requirement}")
    return notes


def _demanded(pin: Pin, asked: Asked) -> Pin:
    """The pin with the hashes that packs demand, where they demand some."""
    hashes = asked.hashes(pin.name)
    return replace(pin, hashes=hashes) if hashes else pin
