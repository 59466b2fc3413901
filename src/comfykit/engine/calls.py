"""One node: its inputs gathered, mapped over lists, its results sorted into outputs.

Every value travels in a list, since a node whose inputs are lists runs once for each item: as often
as the longest list is long, shorter ones repeating their last item. A class with `input_is_list` gets
the lists themselves, once; an output with `is_list` is a list whose items go on one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfykit.engine.cache import Entry
from comfykit.engine.graph import Node, is_link
from comfykit.engine.schema import NodeClass
from comfykit.engine.values import ExecutionBlocker, NodeOutput


@dataclass(frozen=True, slots=True)
class Gathered:
    """Inputs by name, each a list of values; `absent` are lazy ones that were not evaluated."""

    values: dict[str, list[Any]]
    absent: tuple[str, ...] = ()


def gather(
    node: Node, entry: NodeClass, result: Callable[[str], Entry | None], hidden: Callable[[str], Any]
) -> Gathered:
    """The inputs that the class knows; links are followed into `result`, None where not evaluated."""
    values: dict[str, list[Any]] = {}
    absent: list[str] = []
    for name, value in node.inputs.items():
        spec = entry.inputs.get(name)
        if spec is None:
            continue
        if not is_link(value) or spec.raw_link:
            if not spec.link_only:
                values[name] = [value]
        elif (source := result(value[0])) is not None:
            slot = int(value[1])  # behind the last only where a class did not list all its outputs
            values[name] = source.outputs[slot] if slot < len(source.outputs) else [None]
        else:
            absent.append(name)
            values[name] = [None]
    for name, what in entry.hidden.items():
        values[name] = [hidden(what)]
    return Gathered(values, tuple(absent))


def calls(entry: NodeClass, values: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """The arguments of each call that a node makes; a node without inputs is called once."""
    if entry.input_is_list:
        yield dict(values)
        return
    longest = max((len(items) for items in values.values()), default=1)
    for name, items in values.items():
        if longest and not items:
            raise ValueError(f"input {name!r} got an empty list")
    for index in range(longest):
        yield {name: items[min(index, len(items) - 1)] for name, items in values.items()}


def blocker_in(arguments: Mapping[str, Any], *, lists: bool) -> ExecutionBlocker | None:
    """The first blocker among the arguments of a call, or among the items of its lists."""
    for value in arguments.values():
        if isinstance(value, ExecutionBlocker):
            return value
        if lists and isinstance(value, list):
            for item in value:
                if isinstance(item, ExecutionBlocker):
                    return item
    return None


def normalise(returned: Any) -> NodeOutput:
    """A call's result in its long form: from a tuple, a dictionary, a blocker or nothing."""
    if isinstance(returned, NodeOutput):
        return returned
    if isinstance(returned, Mapping):
        result = returned.get("result")
        return NodeOutput(
            tuple(result) if isinstance(result, list) else result,
            returned.get("ui") or {},
            returned.get("expand"),
        )
    if isinstance(returned, list):
        return NodeOutput(tuple(returned))
    if returned is None or isinstance(returned, tuple | ExecutionBlocker):
        return NodeOutput(returned)
    raise TypeError(f"it returned {type(returned).__name__}, not a tuple of its outputs")


def collect(
    entry: NodeClass, results: Sequence[NodeOutput], follow: Callable[[list[Any]], list[Any]]
) -> tuple[list[Any], ...]:
    """The outputs of all calls of a node, a list of values for each slot.

    `follow` gives the values that a link in an expanded result leads to.
    """
    count = len(entry.outputs)
    if entry.further_output is not None:
        count = max(count, *(len(output.result) for output in results if isinstance(output.result, tuple)), 0)
    slots: tuple[list[Any], ...] = tuple([] for _ in range(count))
    for output in results:
        for index, values in enumerate(slots):
            is_list = index < len(entry.outputs) and entry.outputs[index].is_list
            _add(values, output, index, is_list=is_list, follow=follow)
    return slots


def _add(
    values: list[Any],
    output: NodeOutput,
    index: int,
    *,
    is_list: bool,
    follow: Callable[[list[Any]], list[Any]],
) -> None:
    if output.result is None:
        values.append(None)
        return
    if isinstance(output.result, ExecutionBlocker):
        values.append(output.result)
        return
    value = output.result[index] if index < len(output.result) else None
    if output.expand is not None and is_link(value):
        values.extend(follow(value))
    elif is_list and isinstance(value, list | tuple):
        values.extend(value)
    else:
        values.append(value)


def merge_ui(results: Sequence[NodeOutput]) -> dict[str, list[Any]]:
    """What several calls showed, joined key by key."""
    merged: dict[str, list[Any]] = {}
    for output in results:
        for key, items in output.ui.items():
            merged.setdefault(key, []).extend(items if isinstance(items, list | tuple) else [items])
    return merged
