"""`comfykit packs snapshot`: what the home was before each change, and the way back."""

from __future__ import annotations

from typing import Annotated

import typer

from comfykit.cli.models_upkeep import counted
from comfykit.cli.options import HomeOption, JsonOption, YesOption
from comfykit.cli.output import Output

app = typer.Typer(no_args_is_help=True, help="Snapshots from before each change of the packs.")


@app.command("list")
def list_command(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List snapshots, oldest first; the last ten are kept."""
    from comfykit.cli.recovery import recover_packs
    from comfykit.packs.snapshots import list_snapshots
    from comfykit.settings import resolve

    output, settings = Output(as_json=as_json), resolve({"home": home})
    recover_packs(settings, output)
    snapshots = list_snapshots(settings.home)
    for snapshot in snapshots:
        output.record(
            event="snapshot",
            number=snapshot.number,
            taken=snapshot.taken,
            before=snapshot.what,
            packs=[was.name for was in snapshot.packs],
            packages=len(snapshot.packages),
        )
    if snapshots:
        rows = [(str(one.number), one.taken, str(len(one.packs)), one.what) for one in snapshots]
        output.table(("snapshot", "taken", "packs", "before"), rows)
    output.say(counted(len(snapshots), "snapshot"))


@app.command("restore")
def restore_command(
    number: Annotated[int, typer.Argument(metavar="SNAPSHOT", help="Its number.")],
    home: HomeOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Go back to what the home was: its packs, their packages, its lock. This takes a snapshot too."""
    from comfykit.cli.pack_plans import carry
    from comfykit.services.pack_snapshots import plan_restore
    from comfykit.settings import resolve

    settings = resolve({"home": home})
    output = Output(as_json=as_json)
    code = carry(settings, output, lambda work: plan_restore(work, number), dry_run=dry_run, yes=yes)
    if code:
        raise typer.Exit(code)
