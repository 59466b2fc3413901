"""A typed function becomes a node class.

    @node("ImageInvert", title="Invert Image", category="image")
    def image_invert(image: Image) -> Image:
        \"\"\"Invert the colours.\"\"\"
        return 1.0 - image

The parameters are the inputs: an `Annotated` type says which (`Annotated[int, integer(20, 1, 10_000)]`,
or an alias like `Image = Annotated[Tensor, socket("IMAGE")]`), a default makes an input optional, and the
docstring documents the node. The return type gives the outputs: one type or a tuple of them.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from comfykit.engine.schema import COMBO, Body, Input, Listing, NodeClass, OutputSlot
from comfykit.engine.values import ExecutionBlocker, NodeOutput

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True, slots=True)
class Hidden:
    """Marks a parameter that the executor fills in: `Annotated[Any, Hidden("PROMPT")]`."""

    what: str


def socket(kind: str, *, lazy: bool = False) -> Input:
    """An input that takes a link only."""
    return Input(kind, socket_only=kind != "*", lazy=lazy)


def integer(default: int, minimum: int, maximum: int, step: int = 1, **options: Any) -> Input:
    """A whole number."""
    return Input("INT", default, minimum, maximum, step, options=options)


def number(default: float, minimum: float, maximum: float, step: float = 0.01, **options: Any) -> Input:
    """A number with a fraction."""
    return Input("FLOAT", default, minimum, maximum, step, options=options)


def text(default: str = "", *, multiline: bool = False, **options: Any) -> Input:
    """A line of text, or several."""
    return Input("STRING", default, options={"multiline": multiline, **options})


def boolean(default: bool, **options: Any) -> Input:
    """Yes or no."""
    return Input("BOOLEAN", default, options=options)


def combo(choices: Sequence[str] | Listing, default: str | None = None, **options: Any) -> Input:
    """One of several strings, or the name of a file of a `Listing`."""
    allowed = choices if isinstance(choices, Listing) else tuple(choices)
    return Input(COMBO, default, choices=allowed, options=options)


def node(
    name: str,
    *,
    title: str,
    category: str,
    output: bool = False,
    output_names: Sequence[str] = (),
    lists: Sequence[bool] = (),
    input_is_list: bool = False,
    not_idempotent: bool = False,
    fingerprint: Callable[..., Any] | None = None,
    check: Callable[..., Any] | None = None,
    needed: Callable[..., Sequence[str] | None] | None = None,
) -> Callable[[Function], Function]:
    """Make a node class of a function; the function itself stays as it is and can be called.

    `lists` says which outputs are lists whose items go on one by one. The class is found again as
    `node_class(function)`.
    """

    def define(function: Function) -> Function:
        inputs, hidden = _parameters(function)
        types = _outputs(function)
        names = tuple(output_names) or types
        flags = tuple(lists) or (False,) * len(types)
        body = Body(_in_a_tuple(function) if len(types) == 1 else function, needed)
        function.__node_class__ = NodeClass(  # type: ignore[attr-defined]
            name=name,
            bind=lambda: body,
            inputs=inputs,
            outputs=tuple(OutputSlot(*slot) for slot in zip(types, names, flags, strict=True)),
            hidden=hidden,
            title=title,
            category=category,
            description=inspect.getdoc(function) or "",
            output_node=output,
            input_is_list=input_is_list,
            not_idempotent=not_idempotent,
            asynchronous=inspect.iscoroutinefunction(function),
            fingerprint=fingerprint,
            check=check,
            module=function.__module__,
        )
        return function

    return define


def node_class(function: object) -> NodeClass | None:
    """The node class that `@node` made of a function, None for other objects."""
    found = getattr(function, "__node_class__", None)
    return found if isinstance(found, NodeClass) else None


def _in_a_tuple(function: Callable[..., Any]) -> Callable[..., Any]:
    """The engine takes a tuple of outputs; a function with one output returns just that."""

    def wrap(result: Any) -> Any:
        return result if isinstance(result, NodeOutput | ExecutionBlocker) else (result,)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(**inputs: Any) -> Any:
            return wrap(await function(**inputs))

        return run_async

    @functools.wraps(function)
    def run(**inputs: Any) -> Any:
        return wrap(function(**inputs))

    return run


def _parameters(function: Callable[..., Any]) -> tuple[dict[str, Input], dict[str, str]]:
    hints = get_type_hints(function, include_extras=True)
    inputs: dict[str, Input] = {}
    hidden: dict[str, str] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        mark = _mark(hints.get(name))
        if isinstance(mark, Hidden):
            hidden[name] = mark.what
        elif isinstance(mark, Input):
            required = parameter.default is inspect.Parameter.empty
            inputs[name] = dataclasses.replace(mark, required=required)
        else:
            raise TypeError(f"{function.__qualname__}: parameter {name!r} says no input type")
    return inputs, hidden


def _outputs(function: Callable[..., Any]) -> tuple[str, ...]:
    returned = get_type_hints(function, include_extras=True).get("return")
    parts = get_args(returned) if get_origin(returned) is tuple else (returned,)
    marks = (_mark(part) for part in parts)
    return tuple(mark.type for mark in marks if isinstance(mark, Input))


def _mark(hint: object) -> object:
    """The `Input` or `Hidden` of an `Annotated` type; the last one wins, so that aliases can be refined."""
    if get_origin(hint) is Annotated:
        for extra in reversed(get_args(hint)[1:]):
            if isinstance(extra, Input | Hidden):
                return extra
    for part in get_args(hint):  # X | None
        found = _mark(part)
        if found is not None:
            return found
    return None
