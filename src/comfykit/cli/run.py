"""`comfykit run`: run workflows and say which files they wrote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from comfykit.cli.errors import FAILED, OK, exit_code
from comfykit.cli.interrupts import Interrupts
from comfykit.cli.options import (
    HomeOption,
    JsonOption,
    PreviewMethodOption,
    PreviewOption,
    ShowOption,
    chosen_preview,
)
from comfykit.cli.output import Output
from comfykit.errors import Interrupted, UsageError, WorkflowError

if TYPE_CHECKING:
    from comfykit.cli.run_report import RunReport
    from comfykit.services.run import Runner
    from comfykit.services.workflows import NodeClasses
    from comfykit.settings import Settings


def command(
    workflows: Annotated[
        list[str],
        typer.Argument(
            metavar="WORKFLOW",
            help="JSON in UI or API form, a PNG, WebP or JPEG that carries one, or - for standard input.",
        ),
    ],
    home: HomeOption = None,
    output_dir: Annotated[
        Path | None, typer.Option(help="Where pictures are written.", show_default="output/ of the home")
    ] = None,
    input_dir: Annotated[
        Path | None, typer.Option(help="Where input pictures lie.", show_default="input/ of the home")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NODE.INPUT=VALUE", help="Change an input; NODE is an id or a title. Repeatable."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Set every seed and noise_seed.")] = None,
    device: Annotated[
        str | None, typer.Option(metavar="auto|cpu|cuda", help="Where models run.", show_default="auto")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="auto|fp32|fp16|bf16",
            help="Number format of the diffusion model; fp32 is exact, auto takes what is fast and safe.",
            show_default="auto",
        ),
    ] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Go on with the next workflow when one fails.")
    ] = False,
    show: ShowOption = True,
    preview: PreviewOption = False,
    preview_method: PreviewMethodOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run workflows in one process, sharing loaded models and results.

    Standard output has the files that were written, or with --json one event per line. Exits with 0
    when all succeeded, 1 when a run failed, 2 for a workflow or arguments that cannot be run, 130 when
    interrupted.
    """
    from comfykit.cli.recovery import recover_packs
    from comfykit.cli.run_report import RunReport
    from comfykit.settings import resolve

    settings = resolve(
        {
            "home": home,
            "output_dir": output_dir,
            "input_dir": input_dir,
            "device": device,
            "precision": precision,
            "preview_method": chosen_preview(preview=preview, method=preview_method),
        }
    )
    recover_packs(settings, Output(as_json=as_json))
    with RunReport(Output(as_json=as_json), settings, show=show) as report, Interrupts() as interrupts:
        batch = _Batch(settings, report, assignments or (), seed)
        code = batch.run(workflows, interrupts.requested, keep_going=keep_going)
    if code:
        raise typer.Exit(code)


class _Batch:
    """Workflows that share one runner, which is made for the first that can be read."""

    def __init__(
        self, settings: Settings, report: RunReport, assignments: Sequence[str], seed: int | None
    ) -> None:
        self._settings = settings
        self._report = report
        self._assignments = assignments
        self._seed = seed
        self._runner: Runner | None = None
        self._known: NodeClasses | None = None

    def run(self, sources: Sequence[str], stopped: Callable[[], bool], *, keep_going: bool) -> int:
        """Exit code: that of the first workflow that failed."""
        first = OK
        for source in sources:
            code = self._one(source, stopped)
            first = first or code
            if code and not keep_going:
                break
        return first

    def _one(self, source: str, stopped: Callable[[], bool]) -> int:
        from comfykit.services.workflows import read
        from comfykit.workflow.override import override

        name = "<stdin>" if source == "-" else source
        self._report.begin(name)
        try:
            workflow = override(read(source, self._classes()), self._assignments, self._seed)
            self._report.warn_of(workflow.warnings)
            result = self._start().run(replace(workflow, name=name), stopped)
        except (WorkflowError, UsageError) as error:
            self._report.refused(error)
            return exit_code(error)
        except Interrupted as error:
            self._report.refused(error)
            raise typer.Exit(exit_code(error)) from error
        self._report.ended(result)
        if result.error is not None:
            return exit_code(result.error)
        return FAILED if result.problems else OK

    def _start(self) -> Runner:
        if self._runner is None:
            self._report.preparing()
            from comfykit.services.run import Runner  # imports torch, which takes a second

            self._runner = Runner(self._settings, self._report, self._classes().registry)
        return self._runner

    def _classes(self) -> NodeClasses:
        if self._known is None:
            from comfykit.services.workflows import NodeClasses

            self._known = NodeClasses(settings=self._settings, reporter=self._report)
        return self._known
