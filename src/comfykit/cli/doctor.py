"""`comfykit doctor`: say whether this machine can run workflows, and mend what can be mended."""

from __future__ import annotations

import shlex
import sys
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from comfykit.cli.confirm import confirm, is_attended
from comfykit.cli.errors import FAILED, UNUSABLE
from comfykit.cli.options import HomeOption, JsonOption
from comfykit.cli.output import Output
from comfykit.doctor.catalogue import catalogue
from comfykit.doctor.interface import Finding, Status
from comfykit.errors import UsageError

if TYPE_CHECKING:
    from comfykit.services.doctor import Diagnosis
    from comfykit.settings import Settings

STYLES: Mapping[Status, str] = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILURE: "bold red"}
LABELS: Mapping[str, str] = {"python": "Python", "gpu": "GPU", "cuda": "CUDA"}
STATUS_WIDTH = max(map(len, Status)) + 2
LABEL_WIDTH = len("transformers") + 2


def command(
    workflow: Annotated[
        str | None,
        typer.Argument(metavar="[WORKFLOW]", help="Judge what a workflow needs, too: memory, models, nodes."),
    ] = None,
    home: HomeOption = None,
    facts: Annotated[
        Path | None, typer.Option("--facts", metavar="FILE", help="Judge the facts of another machine.")
    ] = None,
    export: Annotated[
        str | None,
        typer.Option(
            "--export", metavar="FILE", help="Write the facts, without names and paths; - for stdout."
        ),
    ] = None,
    network: Annotated[
        bool, typer.Option("--network", help="Ask the hubs and package indexes, too.")
    ] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Wait for torch and slow disks, import every pack.")
    ] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Run the commands that mend what was found.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --fix: do not ask.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 2 where there are warnings.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check Python, torch, the GPU, packages, memory, disk and the models that are there.

    Exits with 1 if something fails; with `--strict` with 2 if there are warnings alone, else with 0.
    """
    from comfykit.services.doctor import examine
    from comfykit.settings import resolve

    if fix and facts is not None:
        raise UsageError("--fix mends this machine, not that of --facts", hint="leave one of them out")
    output = Output(as_json=as_json)
    settings = resolve({"home": home})
    diagnosis = examine(settings, facts=facts, workflow=workflow, networked=network, deep=deep, spent=_age())
    if export is not None:
        _export(diagnosis, export)
        if export == "-":
            return
    show(diagnosis, output)
    if fix and diagnosis.repairable:
        diagnosis = _fix(diagnosis, settings, output, yes=yes, deep=deep) or diagnosis
    failures, warnings = diagnosis.count(Status.FAILURE), diagnosis.count(Status.WARNING)
    output.line("")
    output.line(summary(failures, warnings))
    output.record(
        event="done", status="error" if failures else "success", failures=failures, warnings=warnings
    )
    if failures:
        raise typer.Exit(FAILED)
    if warnings and strict:
        raise typer.Exit(UNUSABLE)


def summary(failures: int, warnings: int) -> str:
    """The last line."""
    if failures:
        also = f" and {_counted(warnings, 'warning')}" if warnings else ""
        return f"{_counted(failures, 'failure')}{also}: this machine is not ready to run workflows."
    if warnings:
        return f"This machine can run workflows, with {_counted(warnings, 'warning')}."
    return "This machine is ready to run workflows."


def show(diagnosis: Diagnosis, output: Output) -> None:
    """Every finding, in its order."""
    for finding in diagnosis.findings:
        _show(finding, output)


def _show(finding: Finding, output: Output) -> None:
    status = f"{finding.status:<{STATUS_WIDTH}}"
    label = f"{LABELS.get(finding.check, finding.check):<{LABEL_WIDTH}}"
    first, *others = _fold(label + finding.message, output.width)
    output.line(first, lead=status, style=STYLES[finding.status])
    entry = catalogue()[finding.code] if finding.code else None
    for line in others:
        output.line(f"{'':{STATUS_WIDTH}}{line}")
    below = []  # never folded: a command must survive being copied
    if entry is not None:
        below += [f"why: {entry.why}", f"seen: {finding.seen}"]
    below += [f"hint: {finding.hint}"] if finding.hint else []
    below += [f"run: {shlex.join(words)}" for words in finding.commands]
    if entry is not None:
        below.append(f"more: {entry.page}")
    for line in below:
        output.line(f"{'':{STATUS_WIDTH}}{line}")
    output.record(
        event="check",
        check=finding.check,
        status=finding.status,
        message=finding.message,
        hint=finding.hint,
        code=finding.code,
        seen=finding.seen,
        why=entry.why if entry else None,
        commands=[list(words) for words in finding.commands],
        page=entry.page if entry else None,
    )


def _age() -> float:
    """Seconds since this process began: what a person has waited until now."""
    import psutil

    try:
        return max(0.0, time.time() - psutil.Process().create_time())
    except psutil.Error:
        return 0.0


def _export(diagnosis: Diagnosis, target: str) -> None:
    from comfykit.doctor.export import export

    text = export(diagnosis.facts)
    if target == "-":
        sys.stdout.write(text)
        return
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}") from error


def _fix(
    diagnosis: Diagnosis, settings: Settings, output: Output, *, yes: bool, deep: bool
) -> Diagnosis | None:
    """Show the commands, run them on a yes, and look again; None where nothing was run."""
    from comfykit.services.doctor import examine
    from comfykit.services.repair import plan, repair

    commands = plan(diagnosis.repairable)
    output.line("")
    for words in commands:
        output.line(f"to run: {shlex.join(words)}")
    if not yes:
        if not is_attended(output):
            raise UsageError(
                "nothing is changed without a person to ask", hint="give --yes where nobody is there"
            )
        if not confirm("Run these commands?"):
            return None
    result = repair(commands, settings, lambda words: output.say(f"running {shlex.join(words)}"))
    back = shlex.join(["uv", "pip", "install", "--python", sys.executable, "-r", str(result.snapshot)])
    output.say(f"what was installed before is written down; to go back: {back}")
    for words, problem in result.failed:
        output.error(f"{shlex.join(words)}: {problem}", None, {"code": "repair"})
    output.record(
        event="fixed",
        commands=[list(words) for words in commands],
        failed=[list(words) for words, _ in result.failed],
        snapshot=str(result.snapshot),
    )
    again = examine(settings, deep=deep)
    output.line("")
    show(again, output)
    return again


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
