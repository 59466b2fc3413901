"""A class in ComfyUI's newer form (`io.ComfyNode` with `define_schema` and `execute`) becomes a node class.

Its methods are class methods. They run on a subclass made for each node, whose `hidden` has what the
executor fills in, as ComfyUI runs them on a copy of the class.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from comfykit.compat import running, runtime
from comfykit.compat.asynchronous import result_of
from comfykit.compat.host.comfy_execution.graph import DynamicPrompt
from comfykit.compat.results import normal
from comfykit.compat.v1 import CONTEXT, as_names, crossed, plain
from comfykit.compat.v1_inputs import KNOWN_HIDDEN
from comfykit.compat.v3_inputs import io_type, nested, read_schema_inputs
from comfykit.engine.schema import Body, NodeClass, OutputSlot

_HIDDEN = "\0hidden "  # before the names by which a body gets hidden values


def is_v3(kind: Any) -> bool:
    """Whether a pack's class is one of the newer form."""
    return hasattr(kind, "define_schema") and hasattr(kind, "GET_SCHEMA")


def node_class_v3(name: str, kind: Any, *, title: str = "", module: str = "") -> NodeClass:
    """The node class of a pack's class; raises what its schema raises."""
    schema = kind.GET_SCHEMA()
    outputs = tuple(
        OutputSlot(
            io_type(given),
            str(given.display_name or given.id or io_type(given)),
            bool(given.is_output_list),
            str(given.tooltip or ""),
        )
        for given in schema.outputs or ()
    )
    wanted = [str(getattr(one, "value", one)) for one in schema.hidden or ()]
    hidden = {f"{_HIDDEN}{what}": what for what in wanted if what in KNOWN_HIDDEN}
    input_is_list = bool(schema.is_input_list)
    return NodeClass(
        name=name,
        bind=lambda: _bind(kind, schema, len(outputs), as_lists=input_is_list),
        inputs=read_schema_inputs(schema),
        outputs=outputs,
        hidden={**hidden, CONTEXT: "CONTEXT"},
        title=title or str(schema.display_name or name),
        category=str(schema.category or ""),
        description=inspect.cleandoc(str(schema.description or "")),
        output_node=bool(schema.is_output_node),
        input_is_list=input_is_list,
        not_idempotent=bool(schema.not_idempotent),
        asynchronous=inspect.iscoroutinefunction(kind.execute),
        fingerprint=_fingerprint(kind, schema),
        check=_check(kind, schema),
        module=module,
        deprecated=bool(schema.is_deprecated),
        experimental=bool(schema.is_experimental),
    )


def _bind(kind: Any, schema: Any, count: int, *, as_lists: bool) -> Body:
    def prepared(arguments: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
        """The context, the class to call, and its arguments."""
        context = arguments.pop(CONTEXT)
        hidden = {name: arguments.pop(name) for name in list(arguments) if name.startswith(_HIDDEN)}
        if as_lists:
            context, hidden = context[0], {name: value[0] for name, value in hidden.items()}
        values = {name.removeprefix(_HIDDEN): value for name, value in hidden.items()}
        if "DYNPROMPT" in values:
            values["DYNPROMPT"] = DynamicPrompt.of(values["DYNPROMPT"])
        given = crossed(arguments, as_lists=as_lists)
        return context, kind.PREPARE_CLASS_CLONE(values), nested(schema, given)

    def run(**arguments: Any) -> Any:
        context, of_node, given = prepared(arguments)
        with running.at_work(context):
            returned = of_node.execute(**given)
        runtime.stop_if_interrupted()
        if inspect.isawaitable(returned):
            return _awaited(returned, context, count)
        return normal(returned, count)

    def needed(**arguments: Any) -> Sequence[str] | None:
        context, of_node, given = prepared(arguments)
        with running.at_work(context):
            return as_names(result_of(of_node.check_lazy_status(**given)))

    return Body(run, needed)


async def _awaited(returned: Awaitable[Any], context: Any, count: int) -> Any:
    with running.in_background(context):
        return normal(await returned, count)


def _defines(kind: Any, method: str) -> bool:
    """Whether a pack's class, or one it is made of, has a method of its own; the base's does nothing."""
    return any(
        method in vars(base)
        for base in kind.__mro__
        if not base.__module__.startswith("comfykit.compat.host")
    )


def _fingerprint(kind: Any, schema: Any) -> Callable[..., Any] | None:
    if not _defines(kind, "fingerprint_inputs"):
        return None

    def fingerprint(**given: Any) -> Any:
        inputs = {name: value for name, value in given.items() if not name.startswith(_HIDDEN)}
        return plain(result_of(kind.fingerprint_inputs(**nested(schema, inputs))))

    return fingerprint


def _check(kind: Any, schema: Any) -> Callable[..., Any] | None:
    if not _defines(kind, "validate_inputs"):
        return None

    def check(**given: Any) -> Any:
        types = {"input_types": given.pop("input_types")} if "input_types" in given else {}
        return result_of(kind.validate_inputs(**nested(schema, given), **types))

    check.__signature__ = inspect.signature(kind.validate_inputs)  # type: ignore[attr-defined]
    return check
