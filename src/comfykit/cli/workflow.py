"""`comfykit workflow`: look at workflows, check them, and convert them to the form that runs."""

from __future__ import annotations

import gc
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from comfykit.cli.errors import FAILED, UNUSABLE
from comfykit.cli.options import HomeOption, JsonOption
from comfykit.cli.output import Output
from comfykit.cli.pack_steps import pack_teller

if TYPE_CHECKING:
    from comfykit.engine.validate import Problem
    from comfykit.services.workflows import Description
    from comfykit.workflow.read import Workflow

MOST_SHOWN = 100
LONGEST_VALUE = 60

app = typer.Typer(
    help="Show, check and convert workflows.", no_args_is_help=True, rich_markup_mode="markdown"
)


@app.callback()
def begin(context: typer.Context) -> None:
    """Show, check and convert workflows."""
    # These commands read, say and end. What they make stays to the end, and a workflow of 100,000 nodes is a
    # million objects: searching them for garbage again and again would take a fifth of the time.
    gc.disable()
    context.call_on_close(_collect_again)


def _collect_again() -> None:
    gc.freeze()
    gc.enable()


File: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="WORKFLOW",
        help="JSON in UI or API form, a PNG, WebP or JPEG that carries one, or - for standard input.",
        show_default=False,
    ),
]
ObjectInfo: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--object-info",
        metavar="FILE",
        help="What a ComfyUI answers to /object_info: names the inputs of classes that are not built in.",
        show_default=False,
    ),
]


@app.command("convert")
def convert(
    file: File,
    target: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write; stdout otherwise.")
    ] = None,
    home: HomeOption = None,
    object_info: ObjectInfo = None,
    as_json: JsonOption = False,
) -> None:
    """Write the API form of a workflow, as *Workflow > Export (API)* of ComfyUI does.

    Exits with 1 when values had to be left out, because the interface of a class is not known.
    """
    from comfykit.services import workflows
    from comfykit.settings import resolve

    output = Output(as_json=as_json)
    settings = resolve({"home": home})
    classes = workflows.NodeClasses(object_info, settings=settings, reporter=pack_teller(output))
    workflow = workflows.read(file, classes)
    _tell_warnings(workflow, output)
    for problem in workflow.problems:
        _tell_problem(problem, output, stderr=True)
    if target is not None:
        content = json.dumps(workflow.prompt, indent=2, ensure_ascii=False)
        workflows.write_whole(target, content + "\n")
        output.say(f"{target}: {len(workflow.prompt)} nodes")
    else:  # in ASCII, as a terminal of any encoding has to show it unchanged
        output.line(json.dumps(workflow.prompt, indent=2))
    output.record(
        event="done",
        status="error" if workflow.problems else "success",
        nodes=len(workflow.prompt),
        **({"prompt": workflow.prompt} if target is None else {"file": str(target)}),
    )
    if workflow.problems:
        raise typer.Exit(FAILED)


@app.command("check")
def check(
    files: Annotated[
        list[str],
        typer.Argument(metavar="WORKFLOW...", help="Files, or - for standard input.", show_default=False),
    ],
    home: HomeOption = None,
    object_info: ObjectInfo = None,
    as_json: JsonOption = False,
) -> None:
    """Say everything that would stop workflows from running, without loading a model.

    Exits with 0 when there is nothing, 2 otherwise.
    """
    from comfykit.errors import WorkflowError
    from comfykit.services import workflows
    from comfykit.settings import resolve

    output = Output(as_json=as_json)
    settings = resolve({"home": home})
    classes = workflows.NodeClasses(object_info, settings=settings, reporter=pack_teller(output))
    broken = False
    for file in files:
        try:
            workflow = workflows.read(file, classes)
        except WorkflowError as error:
            output.error(str(error), error.hint, {"workflow": file, "code": error.code})
            output.record(event="done", workflow=file, status="error", problems=1)
            broken = True
            continue
        _tell_warnings(workflow, output)
        problems = workflows.check(workflow, classes, settings)
        _tell_problems(file, problems, output)
        broken = broken or bool(problems)
    if broken:
        raise typer.Exit(UNUSABLE)


@app.command("show")
def show(
    file: File, home: HomeOption = None, object_info: ObjectInfo = None, as_json: JsonOption = False
) -> None:
    """Show a workflow: nodes in the order they run, the models they name, and what --set can change."""
    from comfykit.services import workflows
    from comfykit.settings import resolve

    output = Output(as_json=as_json)
    settings = resolve({"home": home})
    classes = workflows.NodeClasses(object_info, settings=settings, reporter=pack_teller(output))
    workflow = workflows.read(file, classes)
    _tell_warnings(workflow, output)
    description = workflows.describe(workflow, classes, settings)
    if as_json:
        _record(file, description, output)
    else:
        _show_nodes(description, output)
        _show_models(description, output)
        _show_values(description, output)


def _tell_warnings(workflow: Workflow, output: Output) -> None:
    for warning in workflow.warnings:
        output.warn(warning)
        output.record(event="warning", message=warning)


def _tell_problems(file: str, problems: Sequence[Problem], output: Output) -> None:
    """All of them with --json, the first of many to a person."""
    if output.as_json:
        for problem in problems:
            output.record(event="problem", workflow=file, **asdict(problem))
    else:
        for problem in problems[:MOST_SHOWN]:
            _tell_problem(problem, output)
    left = len(problems) - MOST_SHOWN
    if left > 0:
        output.line(f"... and {left} more; --json has them all")
    status = "error" if problems else "success"
    output.record(event="done", workflow=file, status=status, problems=len(problems))
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}" if problems else "nothing is wrong"
    output.say(f"{file}: {count}", style="red" if problems else "green")


def _tell_problem(problem: Problem, output: Output, *, stderr: bool = False) -> None:
    say = output.say if stderr else output.line
    say(str(problem))
    if problem.hint:
        say(f"  hint: {problem.hint}")


def _record(file: str, description: Description, output: Output) -> None:
    for step in description.steps:
        output.record(event="node", **asdict(step))
    for model in description.models:
        output.record(event="model", **asdict(model))
    output.record(event="done", workflow=file, status="success", nodes=len(description.steps))


def _show_nodes(description: Description, output: Output) -> None:
    rows = []
    for step in description.steps[:MOST_SHOWN]:
        fed = ", ".join(f"{feed.input} from {feed.source}" for feed in step.feeds)
        title = step.title if step.title != step.class_type else ""
        rows.append((step.id, step.class_type, title, fed if step.runs else f"(no output needs it) {fed}"))
    output.table(("node", "class", "title", "fed by"), rows)
    _tell_rest(len(description.steps), output)


def _show_models(description: Description, output: Output) -> None:
    if not description.models:
        return
    rows = [
        (
            f"{model.folder or '?'}/{model.name}",
            "there" if model.there else "missing",
            ", ".join(model.nodes[:5]),
            "" if model.there else model.command or model.url or "",
        )
        for model in description.models[:MOST_SHOWN]
    ]
    output.table(("model", "", "nodes", "to fetch it"), rows)
    _tell_rest(len(description.models), output)


def _show_values(description: Description, output: Output) -> None:
    rows = [
        (f"{step.id}.{name}", step.title, _shown(value))
        for step in description.steps
        for name, value in step.values.items()
    ]
    output.table(("--set", "of", "value"), rows[:MOST_SHOWN])
    _tell_rest(len(rows), output)


def _tell_rest(count: int, output: Output) -> None:
    if count > MOST_SHOWN:
        output.line(f"... and {count - MOST_SHOWN} more; --json has them all")


def _shown(value: Any) -> str:
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    said = " ".join(said.split())
    return said if len(said) <= LONGEST_VALUE else f"{said[: LONGEST_VALUE - 3]}..."
