"""A class in ComfyUI's first form (`INPUT_TYPES`, `RETURN_TYPES`, `FUNCTION`) becomes a node class."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from comfykit.compat import crossing, running, runtime
from comfykit.compat.host.comfy_execution.graph import DynamicPrompt
from comfykit.compat.results import normal
from comfykit.compat.v1_inputs import read_inputs, type_name
from comfykit.engine.schema import Body, NodeClass, OutputSlot

CONTEXT = "\0context"  # the name by which a body gets the context of its node: no parameter of a pack's


def node_class_v1(name: str, kind: Any, *, title: str = "", module: str = "") -> NodeClass:
    """The node class of a pack's class.

    Raises what `INPUT_TYPES` raises, and `AttributeError` or `TypeError` for a class that is none.
    """
    function = str(getattr(kind, "FUNCTION", ""))  # without one it is there to be read, and cannot run
    parameters = _Parameters(getattr(kind, function, None))
    inputs, hidden = read_inputs(kind.INPUT_TYPES(), parameters.take)
    types = kind.RETURN_TYPES
    outputs = _outputs(kind, types)
    input_is_list = bool(getattr(kind, "INPUT_IS_LIST", False))
    return NodeClass(
        name=name,
        bind=lambda: _bind(kind, function, hidden, len(outputs), as_lists=input_is_list),
        inputs=inputs,
        outputs=outputs,
        hidden={**hidden, CONTEXT: "CONTEXT"},
        title=title or name,
        category=_text(getattr(kind, "CATEGORY", "")),
        description=inspect.cleandoc(_text(getattr(kind, "DESCRIPTION", ""))),
        output_node=bool(getattr(kind, "OUTPUT_NODE", False)),
        input_is_list=input_is_list,
        not_idempotent=bool(getattr(kind, "NOT_IDEMPOTENT", False)),
        asynchronous=inspect.iscoroutinefunction(getattr(kind, function, None)),
        fingerprint=_fingerprint(kind, hidden, as_lists=input_is_list),
        check=_check(kind, as_lists=input_is_list),
        module=module,
        deprecated=bool(getattr(kind, "DEPRECATED", False)),
        experimental=bool(getattr(kind, "EXPERIMENTAL", False)),
        further_output=_further(types),
    )


# Outputs


def _outputs(kind: Any, types: Any) -> tuple[OutputSlot, ...]:
    listed = [types] if isinstance(types, str) else list(types)
    names = _as_list(getattr(kind, "RETURN_NAMES", None))
    lists = _as_list(getattr(kind, "OUTPUT_IS_LIST", None))
    tips = _as_list(getattr(kind, "OUTPUT_TOOLTIPS", None))
    slots = []
    for index, given in enumerate(listed):
        slot_type = type_name(given)
        name = _text(names[index]) if index < len(names) else ""
        tip = _text(tips[index]) if index < len(tips) else ""
        is_list = bool(lists[index]) if index < len(lists) else False
        slots.append(OutputSlot(slot_type, name or str(slot_type), is_list, tip))
    return tuple(slots)


def _further(types: Any) -> Callable[[int], OutputSlot | None] | None:
    """For a tuple that answers for every index: what it says of slots behind its last."""
    if type(types) in (tuple, list) or not isinstance(types, tuple | list):
        return None

    def further(slot: int) -> OutputSlot | None:
        try:
            kind = type_name(types[slot])
        except IndexError:
            return None
        return OutputSlot(kind, str(kind))

    return None if further(len(types)) is None else further


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, tuple | list) else [value]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


# Running


class _Parameters:
    """What a class's function has parameters for."""

    def __init__(self, function: Any) -> None:
        try:
            found = inspect.signature(function).parameters.values() if callable(function) else ()
        except (TypeError, ValueError):
            found = ()
        self._everything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in found)
        self._names = {
            parameter.name
            for parameter in found
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        }

    def take(self, name: str) -> bool:
        return self._everything or name in self._names


def _bind(kind: Any, function: str, hidden: dict[str, str], count: int, *, as_lists: bool) -> Body:
    """A body with an instance of its own, made when it is first needed, that keeps its state."""
    made: list[Any] = []
    graphs = [name for name, what in hidden.items() if what == "DYNPROMPT"]

    def instance() -> Any:
        if not made:
            made.append(kind())
        return made[0]

    def prepared(arguments: dict[str, Any]) -> Any:
        context = arguments.pop(CONTEXT)
        for name in graphs:
            graph = arguments[name]
            arguments[name] = [DynamicPrompt.of(graph[0])] if as_lists else DynamicPrompt.of(graph)
        arguments.update(crossed(arguments, as_lists=as_lists))
        return context[0] if as_lists else context

    def run(**arguments: Any) -> Any:
        if not function:
            raise AttributeError(f"{kind.__name__} names no FUNCTION, so it cannot run")
        context = prepared(arguments)
        with running.at_work(context):
            returned = getattr(instance(), function)(**arguments)
        runtime.stop_if_interrupted()
        if inspect.isawaitable(returned):
            return _awaited(returned, context, count)
        return normal(returned, count)

    def needed(**arguments: Any) -> Sequence[str] | None:
        context = prepared(arguments)
        with running.at_work(context):
            return as_names(instance().check_lazy_status(**arguments))

    return Body(run, needed if hasattr(kind, "check_lazy_status") else None)


def crossed(arguments: Mapping[str, Any], *, as_lists: bool) -> dict[str, Any]:
    """Arguments as packs have them."""
    if not as_lists:
        return {name: crossing.to_pack(value) for name, value in arguments.items()}
    return {name: [crossing.to_pack(one) for one in values] for name, values in arguments.items()}


async def _awaited(returned: Awaitable[Any], context: Any, count: int) -> Any:
    with running.in_background(context):
        return normal(await returned, count)


def as_names(wanted: Any) -> list[str] | None:
    """The names that `check_lazy_status` gave, which need not be a list."""
    if wanted is None:
        return None
    return [wanted] if isinstance(wanted, str) else [str(name) for name in wanted]


# Before running


def _fingerprint(kind: Any, hidden: dict[str, str], *, as_lists: bool) -> Callable[..., Any] | None:
    if not hasattr(kind, "IS_CHANGED"):
        return None

    def fingerprint(**given: Any) -> Any:
        given = {name: {} if what == "PROMPT" else None for name, what in hidden.items()} | given
        if as_lists:
            given = {name: [value] for name, value in given.items()}
        return plain(kind.IS_CHANGED(**given))

    return fingerprint


def plain(value: Any) -> Any:
    """A fingerprint that can be compared by its text; digests come as bytes."""
    return value.hex() if isinstance(value, bytes | bytearray) else value


def _check(kind: Any, *, as_lists: bool) -> Callable[..., Any] | None:
    """`VALIDATE_INPUTS`, with the parameters it has: they say which inputs it looks at."""
    asked = getattr(kind, "VALIDATE_INPUTS", None)
    if not callable(asked):
        return None
    if not as_lists:
        return asked  # type: ignore[no-any-return]

    def check(**given: Any) -> Any:
        types = {"input_types": given.pop("input_types")} if "input_types" in given else {}
        return asked(**{name: [value] for name, value in given.items()}, **types)

    check.__signature__ = inspect.signature(asked)  # type: ignore[attr-defined]
    return check
