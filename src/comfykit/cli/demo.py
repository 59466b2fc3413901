"""`comfykit demo`: the whole path from a checkpoint to a picture, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from comfykit.cli.errors import FAILED, exit_code
from comfykit.cli.interrupts import Interrupts
from comfykit.cli.options import JsonOption
from comfykit.cli.output import Output


def command(
    home: Annotated[
        Path, typer.Option("--home", help="A folder for the demo's own files.", show_default=True)
    ] = Path("comfykit-demo"),
    seed: Annotated[int | None, typer.Option(help="Another seed, another noise.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a picture with a tiny model of random weights, to see that everything works.

    The model was never trained, so the picture is noise; a real one needs a real checkpoint.
    """
    from comfykit.cli.run_report import RunReport
    from comfykit.settings import resolve
    from comfykit.workflow.override import override

    output = Output(as_json=as_json)
    settings = resolve({"home": home})
    with RunReport(output, settings) as report, Interrupts() as interrupts:
        report.begin("demo")
        report.preparing()
        from comfykit.services.demo import demo_workflow, ensure_checkpoint
        from comfykit.services.run import Runner

        ensure_checkpoint(settings)
        result = Runner(settings, report).run(override(demo_workflow(), (), seed), interrupts.requested)
        report.ended(result)
    output.say(
        "The model has random weights, so the picture is noise. For real pictures, fetch a checkpoint:\n"
        "  comfykit install-models manifests/sd15.txt"
    )
    if result.error is not None:
        raise typer.Exit(exit_code(result.error))
    if not result.succeeded:
        raise typer.Exit(FAILED)
