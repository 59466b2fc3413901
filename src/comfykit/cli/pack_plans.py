"""Changes of packs as every command shows them: plan, questions, steps, result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from comfykit.cli.confirm import confirm, is_attended
from comfykit.cli.errors import FAILED, OK
from comfykit.cli.models_upkeep import counted
from comfykit.cli.output import Output
from comfykit.cli.plan_rows import row, show_plan
from comfykit.errors import Interrupted, PackError, UsageError
from comfykit.events import Event, PackStep, Reporter, Warned

if TYPE_CHECKING:
    from comfykit.packs.resolution import Conflict
    from comfykit.services.pack_changes import Workbench
    from comfykit.services.pack_plans import Allow, Done, Plan
    from comfykit.settings import Settings


_PAST = {
    "add": "added",
    "replace": "replaced",
    "remove": "removed",
    "enable": "enabled",
    "disable": "disabled",
}


def carry(
    settings: Settings,
    output: Output,
    make_plan: Callable[[Workbench], Plan],
    *,
    dry_run: bool = False,
    yes: bool = False,
    run_scripts: bool = False,
) -> int:
    """Make a plan, show it, ask a person, do it; the exit code."""
    from comfykit.packs.lock import read_lock
    from comfykit.services.pack_changes import changing

    try:
        with changing(settings, reporter=reporter_for(output)) as work:
            plan = make_plan(work)
            show_plan(plan, output)
            conflicts = plan.resolution.conflicts if plan.resolution else ()
            if dry_run:
                status = "error" if conflicts else "success"
                output.record(event="done", status=status, dry_run=True, **summary(plan))
                output.say(f"{summary_words(plan)}; nothing was changed")
                return FAILED if conflicts else OK
            if plan.is_empty and read_lock(settings.home) is not None:
                return nothing_to_do(output)
            if conflicts:
                raise _conflict_error(conflicts)
            if not agreed("go on?", output, yes=yes):
                output.say("nothing was changed")
                return FAILED
            scripts = run_scripts or may_run_scripts(plan, output, yes=yes)
            done = work.carry_out(plan, run_scripts=scripts)
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted; everything is as it was") from error
    tell(done, output)
    return OK


def _conflict_error(conflicts: Sequence[Conflict]) -> PackError:
    """The end of a plan that cannot be carried out; what is the matter was shown with it."""
    told = counted(len(conflicts), "conflict")
    return PackError(f"{told} in what packs want, told above; nothing was changed")


def reporter_for(output: Output) -> Reporter:
    """Says each step, warnings, and how far what is fetched has come.

    In lines also on a terminal: a question may come at any time, which bars would paint over.
    """
    from comfykit.cli.transfers import plain_reporter

    transfers = plain_reporter(output, verb="fetching", ended="fetched")

    def report(event: Event) -> None:
        match event:
            case PackStep(pack, doing):
                output.record(event="step", pack=pack or None, doing=doing)
                output.say(f"{pack}: {doing}" if pack else doing)
            case Warned(message, hint) if not output.as_json:
                output.warn(message, hint)
            case _:
                transfers.report(event)

    return report


def allow_indexes(output: Output, *, yes: bool) -> Allow:
    """Asks whether packages may come from places that packs name; nobody is there: `UsageError`."""

    def allow(named: Sequence[tuple[str, str]]) -> bool:
        for pack, place in named:
            output.record(event="index", pack=pack, address=place)
            output.say(f"{pack} wants packages from {place}")
        if yes:
            return True
        if is_attended(output):
            return confirm("may packages come from there?")
        raise UsageError(
            f"{named[0][0]} wants packages from {named[0][1]}, and nobody is there to allow that",
            hint="give --yes to allow it, or --no-deps to install no packages",
        )

    return allow


def agreed(question: str, output: Output, *, yes: bool) -> bool:
    """The one question; in a script nobody is asked, as nothing is lost that a snapshot does not keep."""
    return yes or not is_attended(output) or confirm(question, default=True)


def may_run_scripts(plan: Plan, output: Output, *, yes: bool) -> bool:
    """Whether a person lets the packs' scripts run; `--yes` is no answer to that."""
    scripts = [script for script in plan.scripts if script.runs_now]
    if scripts and is_attended(output) and not yes:
        return confirm(f"run {' and '.join(f'{script.pack}/{script.name}' for script in scripts)}?")
    for script in scripts:
        output.warn(f"{script.pack}/{script.name} is not run", "give --run-scripts to run it")
    return False


def nothing_to_do(output: Output) -> int:
    """The end of a command that found everything as it should be."""
    output.record(event="done", status="success", changed=False)
    output.say("nothing to do", style="green")
    return OK


def tell(done: Done, output: Output) -> None:
    """What was done, and where the way back is."""
    for name, result in done.imports.items():
        output.record(event="imported", pack=name, classes=list(result.classes))
        output.line(row("imported", f"{name}  {counted(len(result.classes), 'node class', 'node classes')}"))
    output.record(event="done", status="success", changed=True, **summary(done.plan), snapshot=done.snapshot)
    output.say(
        f"{summary_words(done.plan, past=True)}; comfykit packs snapshot restore {done.snapshot} "
        "takes it back",
        style="green",
    )


def summary(plan: Plan) -> dict[str, object]:
    """How many packs and packages change, for a record."""
    actions = [step.action for step in plan.steps if step.changes]
    counts = {action: actions.count(action) for action in dict.fromkeys(actions)}
    return {"packs": counts, "packages": len(plan.changes)}


def summary_words(plan: Plan, *, past: bool = False) -> str:
    """How many packs and packages change: `1 pack to add, 2 packages to change`."""
    actions = [step.action for step in plan.steps if step.changes]
    told = [
        f"{counted(actions.count(action), 'pack')} {_PAST[action] if past else f'to {action}'}"
        for action in dict.fromkeys(actions)
    ]
    if plan.changes:
        told.append(f"{counted(len(plan.changes), 'package')} {'changed' if past else 'to change'}")
    return ", ".join(told) or ("done" if past else "nothing to do")
