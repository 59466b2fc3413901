"""`comfykit doctor`: say whether this machine can run workflows."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import typer

from comfykit.cli.errors import FAILED
from comfykit.cli.options import HomeOption, JsonOption
from comfykit.cli.output import Output
from comfykit.doctor.interface import Finding, Status

STYLES: Mapping[Status, str] = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILURE: "bold red"}
LABELS: Mapping[str, str] = {"python": "Python", "gpu": "GPU", "cuda": "CUDA"}
STATUS_WIDTH = max(map(len, Status)) + 2
LABEL_WIDTH = len("transformers") + 2


def command(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Check Python, torch, the GPU, memory, disk and the models that are there.

    Exits with 1 if a check fails; warnings alone exit with 0.
    """
    from comfykit.services.doctor import examine
    from comfykit.settings import resolve

    output = Output(as_json=as_json)
    diagnosis = examine(resolve({"home": home}))
    for finding in diagnosis.findings:
        _show(finding, output)
    failures, warnings = diagnosis.count(Status.FAILURE), diagnosis.count(Status.WARNING)
    output.line("")
    output.line(summary(failures, warnings))
    output.record(
        event="done", status="error" if failures else "success", failures=failures, warnings=warnings
    )
    if failures:
        raise typer.Exit(FAILED)


def summary(failures: int, warnings: int) -> str:
    """The last line."""
    if failures:
        also = f" and {_counted(warnings, 'warning')}" if warnings else ""
        return f"{_counted(failures, 'failure')}{also}: this machine is not ready to run workflows."
    if warnings:
        return f"This machine can run workflows, with {_counted(warnings, 'warning')}."
    return "This machine is ready to run workflows."


def _show(finding: Finding, output: Output) -> None:
    status = f"{finding.status:<{STATUS_WIDTH}}"
    label = f"{LABELS.get(finding.check, finding.check):<{LABEL_WIDTH}}"
    first, *others = _fold(label + finding.message, output.width)
    output.line(first, lead=status, style=STYLES[finding.status])
    for line in others:
        output.line(f"{'':{STATUS_WIDTH}}{line}")
    if finding.hint:  # never folded: a command must survive being copied
        output.line(f"{'':{STATUS_WIDTH}}hint: {finding.hint}")
    output.record(
        event="check",
        check=finding.check,
        status=finding.status,
        message=finding.message,
        hint=finding.hint,
    )


def _fold(text: str, width: int | None) -> list[str]:
    """Lines that fit beside the status in a terminal, all but the first set in; one line elsewhere."""
    if width is None or width < STATUS_WIDTH + LABEL_WIDTH + 20:
        return [text]
    return textwrap.wrap(
        text,
        width - STATUS_WIDTH,
        subsequent_indent=" " * LABEL_WIDTH,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
