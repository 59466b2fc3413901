"""What a plan would change, in words and as records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comfykit.cli.output import Output

if TYPE_CHECKING:
    from comfykit.packs.installed import Record
    from comfykit.packs.resolution import Change, Resolution
    from comfykit.packs.staging import Origin
    from comfykit.services.pack_plans import Plan, Step


def show_plan(plan: Plan, output: Output) -> None:
    """What would change, in words and as records."""
    for step in plan.steps:
        _show_step(step, output)
    for path in plan.models:
        output.record(event="model", action="remove", path=path)
        output.line(row("remove", f"{path}  into the snapshot"))
    for _, path in plan.back:
        output.record(event="model", action="add", path=path)
        output.line(row("add", f"{path}  from the snapshot"))
    for pack in plan.wanted:
        for problem in pack.problems:
            output.record(event="problem", pack=pack.pack, message=problem)
            output.say(f"warning: {problem}", style="yellow")
    if plan.resolution is not None:
        _show_resolution(plan.resolution, output)
    _show_scripts(plan, output)


def row(word: str, told: str) -> str:
    """A line of a plan: what becomes of something, and of what."""
    return f"{word:9}  {told}"


def _show_step(step: Step, output: Output) -> None:
    from comfykit.services.packs import origin_of

    origin: Origin | None = step.staged.origin if step.staged else None
    if origin is None and step.before is not None and step.before.record and step.before.record.url:
        origin = origin_of(step.before)
    output.record(
        event="pack",
        action=step.action,
        name=step.name,
        enabled=step.enabled,
        url=origin and origin.url,
        commit=origin and origin.commit,
        version=origin and origin.version,
        tree=step.staged.tree if step.staged else None,
        note=step.note or None,
    )
    told = (step.name, f"{_source(origin)}{_was(step)}", step.note and f"({step.note})")
    output.line(row(step.action, "  ".join(filter(None, told))))


def _source(origin: Origin | None) -> str:
    if origin is None:
        return ""
    pin = _pin(origin)
    return origin.url + (f" @ {pin}" if pin else "")


def _was(step: Step) -> str:
    """What is replaced, where that has another commit or version."""
    record = step.before.record if step.before else None
    if step.action != "replace" or record is None or step.staged is None:
        return ""
    pin = _pin(record)
    return f" (was {pin})" if pin and pin != _pin(step.staged.origin) else ""


def _pin(known: Origin | Record) -> str | None:
    return known.commit[:10] if known.commit else known.version


def _show_resolution(resolution: Resolution, output: Output) -> None:
    for change in resolution.changes:
        output.record(
            event="package",
            name=change.name,
            before=change.before,
            after=change.after,
            wanted_by=list(change.wanted_by),
        )
        by = f"  for {', '.join(change.wanted_by)}" if change.wanted_by else ""
        output.line(row("package", f"{_change_words(change)}{by}"))
    for overruled in resolution.overruled:
        output.record(
            event="overruled",
            pack=overruled.pack,
            requirement=overruled.requirement,
            where=overruled.where,
            name=overruled.name,
            kept=overruled.kept,
        )
        output.line(row("overruled", str(overruled)))
    for note in resolution.notes:
        output.record(event="note", message=note)
        output.say(note)
    for conflict in resolution.conflicts:
        output.record(
            event="conflict",
            packs=list(conflict.packs),
            about=conflict.about,
            message=conflict.message,
            suggestion=conflict.suggestion or None,
            detail=conflict.detail,
        )
        output.line(row("conflict", conflict.message))
        if conflict.suggestion:
            output.say(f"  hint: {conflict.suggestion}")


def _show_scripts(plan: Plan, output: Output) -> None:
    from comfykit.services.pack_scripts import what_they_do

    for script, words in zip(plan.scripts, what_they_do(plan.scripts), strict=True):
        output.record(
            event="script", pack=script.pack, name=script.name, lines=script.lines, does=list(script.does)
        )
        output.line(row("script", words))


def _change_words(change: Change) -> str:
    if change.before is None:
        return f"+ {change.name} {change.after}"
    if change.after is None:
        return f"- {change.name} {change.before}"
    return f"{change.name} {change.before} -> {change.after}"
