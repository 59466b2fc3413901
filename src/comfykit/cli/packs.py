"""`comfykit packs`: the custom-node packs that are installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from comfykit.cli import packs_snapshots, packs_trouble
from comfykit.cli.models_upkeep import counted
from comfykit.cli.options import HomeOption, JsonOption, YesOption
from comfykit.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from comfykit.packs.installed import Pack
    from comfykit.services.pack_changes import Workbench
    from comfykit.services.pack_plans import Plan

app = typer.Typer(
    no_args_is_help=True, help="Custom-node packs: list, show, update, remove, switch off and on, check."
)
app.add_typer(packs_snapshots.app, name="snapshot")
app.command("check")(packs_trouble.check_command)
app.command("bisect", context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True})(
    packs_trouble.bisect_command
)

_NAMES = typer.Argument(metavar="PACK", help="Folders below custom_nodes, in any case of letters.")
_DRY_RUN = typer.Option("--dry-run", help="Say what would change, and change nothing.")


@app.command("list")
def list_command(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the packs of the home, with where they came from."""
    from comfykit.cli.recovery import recover_packs
    from comfykit.services.packs import chosen_packs
    from comfykit.settings import resolve

    output, settings = Output(as_json=as_json), resolve({"home": home})
    recover_packs(settings, output)
    packs = chosen_packs(settings.home, [])
    for pack in packs:
        output.record(event="pack", **_facts(pack))
    if packs:
        output.table(("pack", "is", "version", "source"), [_row(pack) for pack in packs])
    off = sum(not pack.enabled for pack in packs)
    output.say(counted(len(packs), "pack") + (f", {off} of them off" if off else ""))


@app.command("show")
def show_command(
    names: Annotated[list[str], _NAMES], home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Say of packs where they came from, which classes they offer and what they need; none is run."""
    from comfykit.cli.rates import size_words
    from comfykit.services.packs import chosen_packs, look_at, size_of
    from comfykit.settings import resolve

    output = Output(as_json=as_json)
    for pack in chosen_packs(resolve({"home": home}).home, names):
        found, wanted = look_at(pack)
        size = size_of(pack.path)
        needs = [requirement.text for requirement in wanted.requirements]
        output.record(
            event="pack",
            **_facts(pack),
            size=size,
            classes=list(found.classes),
            complete=found.complete,
            requirements=needs,
            problems=list(wanted.problems),
        )
        output.line(f"{pack.name}  {_state(pack)}  {size_words(size)}  {pack.path}")
        record = pack.record
        if record is not None:
            for word, value in (
                ("source", record.url),
                ("commit", record.commit),
                ("version", record.version),
                ("tree", record.tree),
                ("installed", record.installed),
            ):
                if value:
                    output.line(f"  {word:9} {value}")
        some = "" if found.complete else " and perhaps more, which it computes"
        listed = f": {', '.join(found.classes)}" if found.classes else ""
        output.line(f"  {'classes':9} {len(found.classes)}{some}{listed}")
        output.line(f"  {'needs':9} {', '.join(needs) or 'nothing'}")
        for problem in wanted.problems:
            output.warn(problem)


@app.command("update")
def update_command(
    names: Annotated[list[str] | None, _NAMES] = None,
    home: HomeOption = None,
    dry_run: Annotated[bool, _DRY_RUN] = False,
    run_scripts: Annotated[
        bool, typer.Option("--run-scripts", help="Run the packs' own install.py, which may do anything.")
    ] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Bring packs up to date: the newest commit of their branch, the registry's newest version.

    Without names, all packs whose source is known. What is replaced stays in a snapshot.
    """
    from comfykit.cli.pack_plans import allow_indexes
    from comfykit.services.packs import plan_update

    output = Output(as_json=as_json)
    allow = allow_indexes(output, yes=yes)
    _carry(
        home,
        output,
        lambda work: plan_update(work, names or [], allow=allow),
        dry_run=dry_run,
        yes=yes,
        run_scripts=run_scripts,
    )


@app.command("remove")
def remove_command(
    names: Annotated[list[str], _NAMES],
    home: HomeOption = None,
    dry_run: Annotated[bool, _DRY_RUN] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take packs away, with the packages that were installed for them alone; a snapshot keeps them."""
    from comfykit.services.packs import plan_remove

    _carry(home, Output(as_json=as_json), lambda work: plan_remove(work, names), dry_run=dry_run, yes=yes)


@app.command("disable")
def disable_command(
    names: Annotated[list[str], _NAMES], home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Switch packs off: their folders get names that end in .disabled, as ComfyUI knows them."""
    from comfykit.services.packs import plan_switch

    output = Output(as_json=as_json)
    _carry(home, output, lambda work: plan_switch(work, names, enabled=False), yes=True)


@app.command("enable")
def enable_command(
    names: Annotated[list[str], _NAMES],
    home: HomeOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Switch packs on again, with what they need; each is imported for a test."""
    from comfykit.cli.pack_plans import allow_indexes
    from comfykit.services.packs import plan_switch

    output = Output(as_json=as_json)
    allow = allow_indexes(output, yes=yes)
    _carry(home, output, lambda work: plan_switch(work, names, enabled=True, allow=allow), yes=yes)


@app.command("lock")
def lock_command(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Write comfykit.lock for what the home has now; models that nobody has hashed yet are read."""
    from comfykit.cli.pack_plans import reporter_for
    from comfykit.services.pack_changes import changing
    from comfykit.services.write_lock import write_lock
    from comfykit.settings import resolve

    output = Output(as_json=as_json)
    with changing(resolve({"home": home}), reporter=reporter_for(output)) as work:
        lock = write_lock(work)
    counts = {"packs": len(lock.packs), "packages": len(lock.packages), "models": len(lock.models)}
    output.record(event="done", status="success", **counts)
    output.say(", ".join(counted(count, name[:-1]) for name, count in counts.items()), style="green")


def _carry(
    home: Path | None,
    output: Output,
    make_plan: Callable[[Workbench], Plan],
    *,
    dry_run: bool = False,
    yes: bool = False,
    run_scripts: bool = False,
) -> None:
    from comfykit.cli.pack_plans import carry
    from comfykit.settings import resolve

    settings = resolve({"home": home})
    code = carry(settings, output, make_plan, dry_run=dry_run, yes=yes, run_scripts=run_scripts)
    if code:
        raise typer.Exit(code)


def _facts(pack: Pack) -> dict[str, object]:
    record = pack.record
    return {
        "name": pack.name,
        "path": pack.path,
        "enabled": pack.enabled,
        "kind": record and record.kind,
        "url": record and record.url,
        "commit": record and record.commit,
        "version": record and record.version,
        "tree": (record and record.tree) or None,
    }


def _row(pack: Pack) -> tuple[str, str, str, str]:
    record = pack.record
    if record is None:
        return pack.name, _state(pack), "", "not known"
    return pack.name, _state(pack), (record.commit or record.version or "")[:10], record.url


def _state(pack: Pack) -> str:
    return "on" if pack.enabled else "off"
