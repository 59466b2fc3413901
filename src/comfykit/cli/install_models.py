"""`comfykit install-models`: fetch the models of manifests into the home."""

from __future__ import annotations

import sys

import typer

from comfykit.cli.options import (
    BackendOption,
    ConnectionsOption,
    HomeOption,
    JobsOption,
    JsonOption,
    MaxSpeedOption,
)
from comfykit.cli.output import Output

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
    jobs: JobsOption = None,
    connections: ConnectionsOption = None,
    max_speed: MaxSpeedOption = None,
    backend: BackendOption = None,
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Say what would be fetched, how large it is and whether it fits."
    ),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask before fetching much."),
    json: JsonOption = False,
) -> None:
    """Fetch models into the home's models/ folder, each verified and whole or not at all.

    The exit code is 0 when every file is in place, 3 when some are not, 1 when none is.
    """
    from comfykit.cli.bring_models import Order, bring

    flags = {
        "home": home,
        "jobs": jobs,
        "connections": connections,
        "max_speed": max_speed,
        "backend": backend,
    }
    order = Order(manifests, sys.stdin.buffer, flags, only, dry_run, yes)
    code = bring(order, Output(as_json=json))
    if code:
        raise typer.Exit(code)
