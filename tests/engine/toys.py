"""Node classes of a few lines, a registry of them and an environment without files."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from comfykit.engine.define import Hidden, boolean, combo, integer, node, node_class, number, socket, text
from comfykit.engine.executor import Executor, Outputs
from comfykit.engine.graph import graph_from_prompt
from comfykit.engine.registry import Registry
from comfykit.engine.schema import Listing, Missing
from comfykit.engine.validate import Checked, validate
from comfykit.engine.values import ExecutionBlocker, NodeOutput

Number = Annotated[int, socket("NUMBER")]
Anything = Annotated[Any, socket("*")]

ran: list[str] = []  # what ran, in order; `run` empties it


@node("Start", title="Start", category="toys")
def start(value: Annotated[int, integer(0, 0, 100)]) -> Number:
    """A number from a widget."""
    ran.append(f"Start {value}")
    return value


@node("Add", title="Add", category="toys")
def add(a: Number, b: Annotated[int, integer(1, -10, 10)] = 1) -> Number:
    ran.append("Add")
    return a + b


@node("Show", title="Show", category="toys", output=True)
def show(value: Anything) -> NodeOutput:
    ran.append("Show")
    return NodeOutput(ui={"values": [value]})


@node("Widgets", title="Widgets", category="toys", output=True)
def widgets(
    ratio: Annotated[float, number(0.5, 0.0, 1.0)] = 0.5,
    name: Annotated[str, text("x")] = "x",
    flag: Annotated[bool, boolean(False)] = False,
    mode: Annotated[str, combo(("fast", "slow"))] = "fast",
    file: Annotated[str, combo(Listing("models/toys"))] = "there.bin",
) -> NodeOutput:
    return NodeOutput(ui={"seen": [ratio, name, flag, mode, file]})


@node("Many", title="Many", category="toys", lists=(True,))
def many(count: Annotated[int, integer(3, 0, 10)]) -> Number:
    return list(range(count))  # type: ignore[return-value]


@node("Sum", title="Sum", category="toys", input_is_list=True)
def total(values: Number) -> Number:
    return sum(values)  # type: ignore[arg-type, call-overload]


@node("Pair", title="Pair", category="toys", output_names=("first", "second"))
def pair(a: Number, b: Number) -> tuple[Number, Number]:
    return a, b


def _needed(choose: bool, **branches: Any) -> Sequence[str]:
    return ["yes" if choose else "no"]


@node("Choose", title="Choose", category="toys", needed=_needed)
def choose(
    choose: Annotated[bool, boolean(True)],
    yes: Annotated[Any, socket("*", lazy=True)] = None,
    no: Annotated[Any, socket("*", lazy=True)] = None,
) -> Anything:
    return yes if choose else no


@node("Block", title="Block", category="toys")
def block(message: Annotated[str, text()] = "") -> Number:
    return ExecutionBlocker(message or None)  # type: ignore[return-value]


@node("Fail", title="Fail", category="toys")
def fail(a: Number) -> Number:
    raise ZeroDivisionError(f"{a} is not for me")


@node("Grow", title="Grow", category="toys")
def grow(a: Number, own: Annotated[str, Hidden("UNIQUE_ID")]) -> Number:
    """Becomes two additions, and shows what it was given on the way."""
    nodes = {
        f"{own}.0.1": {"class_type": "Start", "inputs": {"value": a}},
        f"{own}.0.2": {"class_type": "Add", "inputs": {"a": [f"{own}.0.1", 0], "b": 5}},
        f"{own}.0.3": {"class_type": "Show", "inputs": {"value": [f"{own}.0.1", 0]}},
    }
    return NodeOutput(([f"{own}.0.2", 0],), expand=nodes)  # type: ignore[return-value]


@node("Later", title="Later", category="toys")
async def later(a: Number, seconds: Annotated[float, number(0.05, 0.0, 5.0)] = 0.05) -> Number:
    ran.append("Later begins")
    await asyncio.sleep(seconds)
    ran.append("Later ends")
    return a * 2


@node("Told", title="Told", category="toys", output=True)
def told(
    prompt: Annotated[Any, Hidden("PROMPT")],
    extra: Annotated[Any, Hidden("EXTRA_PNGINFO")],
    own: Annotated[Any, Hidden("UNIQUE_ID")],
    context: Annotated[Any, Hidden("CONTEXT")],
) -> NodeOutput:
    return NodeOutput(ui={"told": [prompt, extra, own, context]})


class FakeEnvironment:
    """Two files, wherever one looks."""

    def choices(self, folder: str) -> Sequence[str]:
        return ["there.bin", "also.bin"]

    def missing(self, folder: str, name: str) -> Missing:
        return Missing(f"no {name!r} in {folder}", "look elsewhere")


def registry() -> Registry:
    """All classes of this file."""
    classes = (node_class(value) for value in globals().values())
    return Registry(entry for entry in classes if entry is not None)


def prompt(**nodes: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """API form: `prompt(a=("Start", {"value": 1}))`."""
    return {key: {"class_type": name, "inputs": inputs} for key, (name, inputs) in nodes.items()}


def check(nodes: dict[str, Any]) -> Checked:
    return validate(graph_from_prompt(nodes), registry(), FakeEnvironment())


def run(nodes: dict[str, Any], executor: Executor | None = None, **options: Any) -> Outputs:
    """Check, which must find nothing, and run."""
    ran.clear()
    checked = check(nodes)
    assert not checked.problems
    return (executor or Executor(registry())).run(checked, **options)
