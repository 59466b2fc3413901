"""`comfykit sync`: make the home equal to its comfykit.lock."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from comfykit.cli.errors import FAILED, OK
from comfykit.cli.options import HomeOption, JsonOption, YesOption
from comfykit.cli.output import Output

if TYPE_CHECKING:
    from comfykit.packs.lock import Lock
    from comfykit.services.sync import SyncPlan
    from comfykit.settings import Settings


def command(
    home: HomeOption = None,
    frozen: Annotated[
        bool, typer.Option("--frozen", help="Fail where the lock says too little, rather than fill it in.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    run_scripts: Annotated[
        bool, typer.Option("--run-scripts", help="Run the packs' own install.py, which may do anything.")
    ] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make packs, their Python packages and models exactly what comfykit.lock says.

    What is missing comes, what differs is replaced, what is not locked goes into a snapshot. Packages that
    neither comfykit nor a lock put there stay. A home that is as locked is left alone.
    """
    from comfykit.cli.recovery import recover_packs
    from comfykit.packs.environment import Environment
    from comfykit.services.lock_difference import is_synced
    from comfykit.services.sync import needed_lock
    from comfykit.settings import resolve

    output, settings = Output(as_json=as_json), resolve({"home": home})
    recover_packs(settings, output)
    lock = needed_lock(settings.home, frozen=frozen)
    if is_synced(lock, settings.home, Environment()):
        _end_unchanged(output)
        return
    code = _sync(settings, lock, output, dry_run=dry_run, yes=yes, run_scripts=run_scripts)
    if code:
        raise typer.Exit(code)


def _sync(
    settings: Settings, lock: Lock, output: Output, *, dry_run: bool, yes: bool, run_scripts: bool
) -> int:
    from comfykit.cli.models_upkeep import counted
    from comfykit.cli.pack_plans import (
        agreed,
        allow_indexes,
        may_run_scripts,
        reporter_for,
        summary,
        summary_words,
        tell,
    )
    from comfykit.errors import Interrupted
    from comfykit.fetch.guide import open_guide
    from comfykit.services.pack_changes import changing
    from comfykit.services.sync import carry_out_sync, plan_sync

    try:
        with changing(settings, reporter=reporter_for(output)) as work:
            sync = plan_sync(work, lock, allow=allow_indexes(output, yes=yes))
            _show(sync, output)
            if dry_run:
                output.record(event="done", status="success", dry_run=True, **summary(sync.plan))
                models = f"{counted(len(sync.models), 'model')} to fetch, " if sync.models else ""
                output.say(f"{models}{summary_words(sync.plan)}; nothing was changed")
                return OK
            if sync.is_empty:
                _end_unchanged(output)
                return OK
            if not agreed("go on?", output, yes=yes):
                output.say("nothing was changed")
                return FAILED
            scripts = run_scripts or may_run_scripts(sync.plan, output, yes=yes)
            done = carry_out_sync(work, sync, open_guide(settings, os.environ), run_scripts=scripts)
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted; packs and packages are as they were") from error
    tell(done, output)
    return OK


def _show(sync: SyncPlan, output: Output) -> None:
    from comfykit.cli.plan_rows import row, show_plan

    show_plan(sync.plan, output)
    for model in sync.models:
        output.record(
            event="model", action="fetch", path=model.path, size=model.size, sources=list(model.sources)
        )
        output.line(row("fetch", f"models/{model.path}  {model.sources[0]}"))
    for note in sync.notes:
        output.record(event="note", message=note)
        output.warn(note)


def _end_unchanged(output: Output) -> None:
    output.record(event="done", status="success", changed=False)
    output.say("the home is as its lock says", style="green")
