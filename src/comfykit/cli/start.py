"""`comfykit start`: bring a container up to date, then run a command in it."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from comfykit.cli.errors import FAILED, INTERRUPTED, OK, PARTIAL, UNUSABLE
from comfykit.cli.options import HomeOption, JsonOption
from comfykit.cli.output import Output
from comfykit.errors import UsageError
from comfykit.events import Event, StepEnded, StepStarted, Warned

ARGUMENTS = "CLI_ARGS"  # the name that ComfyUI's containers use
# What comes after the first word of the command belongs to it.
SETTINGS = {"allow_interspersed_args": False}
BEGINNING = {
    "doctor": "checking this machine",
    "models": "bringing the models of {} up to date",
    "nodes": "bringing the nodes of {} up to date",
}


def command(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[COMMAND]...",
            help="A command of comfykit (`run workflow.json`) or any other; without one, stay up.",
            show_default=False,
        ),
    ] = None,
    home: HomeOption = None,
    models: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="LIST",
            help="Models to bring; may be repeated.",
            show_default="download.txt of the home, /home/scripts/download.txt",
        ),
    ] = None,
    nodes: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="LIST",
            help="Custom nodes to bring; may be repeated.",
            show_default="nodes.txt of the home, /home/scripts/nodes.txt",
        ),
    ] = None,
    checks: Annotated[bool, typer.Option("--checks/--no-checks", help="Run comfykit doctor first.")] = True,
    watch: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0, help="How often lists of models are looked at; 0: never."),
    ] = 5.0,
    health: Annotated[
        bool, typer.Option("--health", help="Only say whether a start here has come to its command.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring models and nodes up to date, then run a command, as the first process of a container.

    Nothing that cannot be had keeps the command from starting; its exit code is the exit code. Signals
    reach it. Lists of models are read again whenever they change while it runs. $CLI_ARGS is added to a
    command of comfykit.
    """
    output = Output(as_json=as_json)
    if health:
        raise typer.Exit(_health(output))
    from comfykit.services.start import MODEL_LIST, NODE_LIST, Plan, lists_of, start
    from comfykit.settings import resolve

    root = resolve({"home": home}).home.root
    words, known = words or [], _commands(context)
    is_own = bool(words) and words[0] in known
    comfykit = [sys.executable, "-P", "-m", "comfykit"]
    for path in (*(models or ()), *(nodes or ())):
        if not path.is_file():
            output.warn(f"{path} is not there", "mount the list there, or leave the option out")
    plan = Plan(
        home=root,
        comfykit=comfykit,
        models=[path.absolute() for path in models or lists_of(root, MODEL_LIST)],
        nodes=[path.absolute() for path in nodes or lists_of(root, NODE_LIST)],
        command=[*comfykit, *words, *_further()] if is_own else words,
        is_own=is_own,
        checks=checks,
        installs_nodes="install-nodes" in known,
        watch_seconds=watch,
        as_json=as_json,
    )
    code = start(plan, lambda event: _tell(event, output))
    if code:
        raise typer.Exit(code)


def _health(output: Output) -> int:
    from comfykit.services.start_status import is_up

    up = is_up()
    output.line("up" if up else "not up")
    output.record(event="health", up=up)
    return OK if up else FAILED


def _commands(context: typer.Context) -> Sequence[str]:
    """The commands of comfykit that may be started."""
    app = context.parent
    if app is None or not isinstance(app.command, TyperGroup):
        return []
    return [name for name in app.command.list_commands(app) if name != context.info_name]


def _further() -> list[str]:
    """What `CLI_ARGS` adds to a command of comfykit."""
    try:
        return shlex.split(os.environ.get(ARGUMENTS, ""))
    except ValueError as error:
        raise UsageError(f"{ARGUMENTS}: {error}", hint="quote it as in a shell") from error


def _tell(event: Event, output: Output) -> None:
    """What happens, on standard error, and as records with `--json`."""
    match event:
        case Warned(message, hint):
            output.warn(message, hint)
            output.record(event="warning", message=message, hint=hint)
        case StepStarted(step, subject):
            output.say(BEGINNING[step].format(subject))
            output.record(event="step", step=step, subject=subject or None, status="started")
        case StepEnded(step, subject, code):
            ended = {OK: "success", PARTIAL: "partial", INTERRUPTED: "interrupted"}.get(code, "error")
            output.record(event="step", step=step, subject=subject or None, status=ended, code=code)
            if code not in (OK, INTERRUPTED):
                output.warn(*_words_for(step, subject, code))


def _words_for(step: str, subject: str, code: int) -> tuple[str, str]:
    """What went wrong in a step, and what to do about it."""
    if step == "doctor":
        return "the checks found failures; starting all the same", "the lines above say what to do"
    if code == UNUSABLE:
        return f"{subject} cannot be used; starting without it", "mend what the lines above name"
    missing = "some of " if code == PARTIAL else ""
    again = "; a list of models is read again when it changes" if step == "models" else ""
    return (
        f"{missing}the {step} of {subject} could not be had (exit code {code}); starting without them",
        f"the lines above say which and why{again}",
    )
