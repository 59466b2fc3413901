"""`comfykit install-models`: fetch the models of manifests into the home."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from comfykit.cli.options import HomeOption, JsonOption
from comfykit.cli.output import Output

if TYPE_CHECKING:
    from comfykit.services.install_models import Outcome
    from comfykit.services.plan_models import Step

_MANIFESTS = typer.Argument(
    ...,
    metavar="MANIFEST",
    help="aria2 input files, lists that ship with comfykit (manifests/sd15.txt), or - for standard input.",
    show_default=False,
)
_ONLY = typer.Option(
    [], "--only", metavar="GLOB", help="Only models whose path or file name matches; may be repeated."
)


def command(
    manifests: list[str] = _MANIFESTS,
    home: HomeOption = None,
    only: list[str] = _ONLY,
    jobs: int | None = typer.Option(None, "--jobs", help="Files fetched at once.", show_default="4"),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what would be fetched, and fetch nothing."),
    json: JsonOption = False,
) -> None:
    """Fetch models into the home's models/ folder, each verified and whole or not at all."""
    from comfykit.errors import Interrupted

    try:
        complete = _run(manifests, {"home": home, "jobs": jobs}, only, dry_run, Output(as_json=json))
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted; run the same command again to go on") from error
    if not complete:
        raise typer.Exit(1)


def _run(
    manifests: Sequence[str], flags: dict[str, object], only: Sequence[str], dry_run: bool, output: Output
) -> bool:
    """Plan and fetch; whether every file is in place (or, in a dry run, could be)."""
    import os

    from comfykit import settings as settings_module
    from comfykit.cli.transfers import reporter_for
    from comfykit.fetch.hf_cache import cache_from
    from comfykit.fetch.index import open_index
    from comfykit.services import install_models as service
    from comfykit.services import plan_models as planning

    settings = settings_module.resolve(flags)
    rules = service.mirrors_from(os.environ)
    with reporter_for(output) as progress:
        index = open_index(settings.home)
        steps = planning.plan_models(
            settings.home,
            manifests,
            only=only,
            rules=rules,
            stdin=sys.stdin.buffer,
            reporter=progress.report,
            index=index,
            cache=cache_from(os.environ),
        )
        if dry_run or output.as_json:
            for step in steps:
                _show_step(step, output)
        if dry_run:
            return _end_dry_run(steps, output)
        progress.expect(sum(planning.is_missing(step) for step in steps))
        outcomes = service.install_models(
            settings,
            steps,
            rules=rules,
            reporter=progress.report,
            on_outcome=lambda outcome: _record(outcome, output),
            index=index,
        )
    return _end(outcomes, output)


def _show_step(step: Step, output: Output) -> None:
    """One line of the plan."""
    from comfykit.fetch.urls import redact
    from comfykit.services.plan_models import action

    urls = [redact(address) for address in step.addresses]
    note = step.presence.note
    output.record(
        event="plan",
        file=step.entry.path,
        action=action(step),
        urls=urls,
        sha256=step.entry.sha256,
        path=step.presence.path,
        note=note or None,
        manifest=step.entry.place,
    )
    told = " ".join(urls) if action(step) == "fetch" else note
    output.line(f"{action(step):8}  {step.entry.path}  {told}")


def _end_dry_run(steps: Sequence[Step], output: Output) -> bool:
    from comfykit.services.plan_models import action

    counts = {
        name: sum(action(step) == name for step in steps) for name in ("fetch", "link", "there", "conflict")
    }
    complete = not counts["conflict"]
    output.record(event="done", status="success" if complete else "error", dry_run=True, **counts)
    output.say(f"{counts['fetch']} to fetch, {counts['there']} there, {counts['conflict']} in the way")
    return complete


def _record(outcome: Outcome, output: Output) -> None:
    output.record(
        event="file",
        file=outcome.entry.path,
        status=outcome.status,
        note=outcome.note,
        size=outcome.size,
        host=outcome.host,
        hint=outcome.hint,
        code=outcome.code,
    )


def _end(outcomes: Sequence[Outcome], output: Output) -> bool:
    """The table of what became of each file, and the sums."""
    from comfykit.cli.transfers import size_words

    width = max((len(outcome.entry.path) for outcome in outcomes), default=0)
    for outcome in outcomes:
        size = size_words(outcome.size) if outcome.status != "failed" else ""
        output.line(f"{outcome.status:8}  {outcome.entry.path:{width}}  {size:>9}  {outcome.note}".rstrip())
        if outcome.hint and not output.as_json:
            output.say(f"  hint: {outcome.hint}")
    counts = {
        status: sum(outcome.status == status for outcome in outcomes)
        for status in ("fetched", "linked", "there", "failed")
    }
    complete = not counts["failed"]
    output.record(event="done", status="success" if complete else "error", **counts)
    output.say(
        f"{counts['fetched']} fetched, {counts['there']} there, {counts['failed']} failed",
        style="green" if complete else "bold red",
    )
    return complete
