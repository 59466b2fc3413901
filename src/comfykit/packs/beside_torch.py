"""torchvision and torchaudio in a resolution: the builds that belong to the installed torch, or none.

`companions` knows which those are; here they are asked for, looked for elsewhere, and given up with a note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from comfykit.packs.companions import COMPANIONS, Companion, companion
from comfykit.packs.environment import Installed
from comfykit.packs.overrule import Asked
from comfykit.packs.solver import Plan, Refusal, Solver


def fitting(installed: Installed) -> frozenset[str]:
    """torchvision and torchaudio where they are installed and belong to the torch that is."""
    torch = installed.version("torch")
    found = set()
    for name in COMPANIONS:
        version = installed.version(name)
        belongs = companion(name, torch) if torch else None
        if version and belongs and (belongs.is_fitting(version) or _will_do(belongs, version)):
            found.add(name)
    return frozenset(found)


def _will_do(belongs: Companion, version: str) -> bool:
    """Whether a build stays although it may be for another device than torch: there was no other."""
    return belongs.any_build is not None and belongs.is_of_release(version)


def constraints_for(installed: Installed, kept: frozenset[str]) -> list[str]:
    """What holds the companions that may come to the builds that belong to the torch."""
    torch = installed.version("torch")
    found = [companion(name, torch) for name in COMPANIONS if name not in kept] if torch else []
    return [belongs.constraint for belongs in found if belongs]


def without_build(asked: Asked, installed: Installed, kept: frozenset[str]) -> frozenset[str]:
    """Companions that cannot exist for the installed torch: they are left out, with a note if asked for."""
    torch = installed.version("torch")
    if torch is None:
        return frozenset()
    names = [name for name in COMPANIONS if name not in kept and companion(name, torch) is None]
    asked.notes += [_left_out(name, asked, installed) for name in names if name in asked.by_name]
    return frozenset(names)


def without_missing(solver: Solver, asked: Asked, refusal: Refusal) -> tuple[Solver, Plan | Refusal]:
    """The same without torchvision, torchaudio or both, where no build of them can be found.

    Where torch is one of PyTorch's own builds, its companions are looked for at PyTorch's own index first.
    """
    missing = [name for name in COMPANIONS if name in refusal.text and name not in solver.excludes]
    without = solver
    for names in (missing[:1], missing[1:], COMPANIONS):
        if not names or without.excludes >= solver.excludes.union(names):
            continue
        without = solver.without(names)
        plan = without.plan(asked.packs)
        if isinstance(plan, Refusal):
            refusal = plan
            continue
        label = (solver.installed.version("torch") or "").partition("+")[2]
        if label and not (solver.sources.no_index or solver.sources.offline):
            elsewhere = replace(solver, sources=replace(solver.sources, torch_builds=label))
            found = elsewhere.plan(asked.packs)
            if isinstance(found, Plan):
                return elsewhere, found
        if (taken := _of_any_build(solver, asked, names)) is not None:
            return taken
        asked.notes += [_left_out(name, asked, solver.installed) for name in names if name in missing]
        return without, plan
    return without, refusal


def _of_any_build(solver: Solver, asked: Asked, names: Sequence[str]) -> tuple[Solver, Plan] | None:
    """The same with torchvision of the right release for whatever device, where that can be found."""
    torch = solver.installed.version("torch") or ""
    belongs = companion("torchvision", torch)
    if belongs is None or belongs.any_build is None or "torchvision" not in names:
        return None
    constraints = [belongs.any_build if one == belongs.constraint else one for one in solver.constraints]
    wider = replace(solver.without(set(names) - {"torchvision"}), constraints=tuple(constraints))
    plan = wider.plan(asked.packs)
    if isinstance(plan, Refusal) or not plan.changes.get("torchvision", (None, None))[1]:
        return None
    asked.notes.append(
        f"torchvision {plan.changes['torchvision'][1]} comes without the label of a device: "
        f"torchvision=={belongs.release}+{belongs.label}, which belongs to torch {torch}, was not found. "
        "Where its compiled part does not load, nms runs in plain torch and the others raise an error"
    )
    asked.notes += [_left_out(name, asked, solver.installed) for name in names if name in wider.excludes]
    return wider, plan


def without_unfitting(solver: Solver, asked: Asked, plan: Plan | Refusal) -> tuple[Solver, Plan | Refusal]:
    """The same without companions of torch that came, and were built for another kind of GPU than it."""
    torch = solver.installed.version("torch")
    if torch is None or isinstance(plan, Refusal):
        return solver, plan
    wrong = _unfitting(plan, torch)
    if not wrong:
        return solver, plan
    others = replace(solver, constraints=(*solver.constraints, *(f"{a}!={b}" for a, b in wrong.items())))
    again = others.plan(asked.packs)
    if isinstance(again, Plan) and not _unfitting(again, torch):
        return others, again
    asked.notes += [_left_out(name, asked, solver.installed) for name in wrong]
    solver = solver.without(wrong)
    return solver, solver.plan(asked.packs)


def _unfitting(plan: Plan, torch: str) -> dict[str, str]:
    coming = {name: plan.changes.get(name, (None, None))[1] for name in COMPANIONS}
    return {name: version for name, version in coming.items() if version and not _fits(name, version, torch)}


def _fits(name: str, version: str, torch: str) -> bool:
    belongs = companion(name, torch)
    return belongs is not None and (belongs.is_fitting(version) or _will_do(belongs, version))


def _left_out(name: str, asked: Asked, installed: Installed) -> str:
    torch = installed.version("torch") or ""
    packs = sorted({requirement.pack for requirement in asked.by_name.get(name, [])})
    note = f"{name} is left out: there is no build of it for torch {torch}"
    if belongs := companion(name, torch):
        exactly = f"{name}=={belongs.release}" + (f"+{belongs.label}" if belongs.label else "")
        note = f"{name} is left out: {exactly}, which belongs to torch {torch}, was not found"
    return f"{note} (wanted by {', '.join(packs)})" if packs else note
