"""`comfykit install-nodes`: bring custom-node packs and what they need into the home."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from comfykit.cli.options import HomeOption, JsonOption, YesOption
from comfykit.cli.output import Output

_SPECS = typer.Argument(
    metavar="SPEC",
    help="OWNER/REPO[@REF], a git address, a folder (./PACK), a .zip or its address, an id of the registry "
    "(ID[@VERSION]), or a file that lists such lines.",
    show_default=False,
)


def command(
    specs: Annotated[list[str], _SPECS],
    home: HomeOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    no_deps: Annotated[bool, typer.Option("--no-deps", help="Leave Python packages as they are.")] = False,
    run_scripts: Annotated[
        bool, typer.Option("--run-scripts", help="Run the packs' own install.py, which may do anything.")
    ] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Install custom-node packs with the packages that they need, all or nothing.

    What all packs of the home need is resolved together; torch, numpy and whatever else comfykit stands on
    never change. Every pack is imported once for a test. Where anything fails, everything is as it was.
    """
    from comfykit.cli.pack_plans import allow_indexes, carry
    from comfykit.services.install_packs import plan_install
    from comfykit.settings import resolve

    output = Output(as_json=as_json)
    code = carry(
        resolve({"home": home}),
        output,
        lambda work: plan_install(
            work,
            specs,
            folder=Path.cwd(),
            resolve_packages=not no_deps,
            allow=allow_indexes(output, yes=yes),
        ),
        dry_run=dry_run,
        yes=yes,
        run_scripts=run_scripts,
    )
    if code:
        raise typer.Exit(code)
