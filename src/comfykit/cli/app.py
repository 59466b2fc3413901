"""Builds the command line and runs it; the one place where errors become words and exit codes.

A command lives in its own file and is imported when it is called, so that `--help` stays fast.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from typing import NoReturn

import typer

from comfykit.cli import (
    demo,
    doctor,
    install_models,
    install_nodes,
    mirrors,
    models,
    nodes,
    packs,
    run,
    start,
    sync,
    workflow,
)
from comfykit.cli.errors import exit_code, explain
from comfykit.cli.output import Output


def build() -> typer.Typer:
    """The Typer application with every command."""
    app = typer.Typer(
        name="comfykit",
        help="Run ComfyUI workflows: fetch their models, check the machine, make the picture.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    app.command("install-models")(install_models.command)
    app.command("install-nodes")(install_nodes.command)
    app.command("sync")(sync.command)
    app.command("doctor")(doctor.command)
    app.command("run")(run.command)
    app.command("demo")(demo.command)
    app.command("start", context_settings=start.SETTINGS)(start.command)
    app.add_typer(models.app, name="models")
    app.add_typer(packs.app, name="packs")
    app.add_typer(mirrors.app, name="mirrors")
    app.add_typer(nodes.app, name="nodes")
    app.add_typer(workflow.app, name="workflow")
    return app


def main() -> NoReturn:
    """Entry point of the `comfykit` command."""
    # What is alive at the end dies with the process: a last search for garbage among it helps nobody.
    atexit.register(gc.freeze)
    try:
        build()(standalone_mode=True)
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("COMFYKIT_TRACEBACK"):
            raise
        explain(error, Output(as_json="--json" in sys.argv))
        sys.exit(exit_code(error))
    sys.exit(0)


def _version(value: bool) -> None:
    if value:
        from comfykit import __version__

        typer.echo(f"comfykit {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Options before the command."""
