"""Node classes whose inputs come in groups: `images.image0`, `images.image1`, ... or `format.bit_depth`.

    @grouped("images", numbered("image", 50, socket("IMAGE")))
    @node("BatchImagesNode", title="Batch Images", category="image")
    def batch_images(images: Group) -> Image: ...

The function gets the members that a workflow gives as one dictionary, under their names without the group's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeAlias, TypeVar

from comfykit.engine.define import node_class
from comfykit.engine.schema import Body, Input, NodeClass

Function = TypeVar("Function", bound=Callable[..., Any])

Group: TypeAlias = Annotated[Mapping[str, Any], Input("GROUP")]


def numbered(name: str, count: int, of: Input) -> dict[str, Input]:
    """Members `name0`, `name1`, ... of which only the first must be there."""
    return {f"{name}{index}": dataclasses.replace(of, required=index == 0) for index in range(count)}


def lettered(count: int, of: Input) -> dict[str, Input]:
    """Members `a`, `b`, ... of which only the first must be there."""
    return {chr(ord("a") + index): dataclasses.replace(of, required=index == 0) for index in range(count)}


def optional(**members: Input) -> dict[str, Input]:
    """Members that need not be there, such as those of a choice that was not made."""
    return {name: dataclasses.replace(of, required=False) for name, of in members.items()}


def grouped(
    parameter: str,
    members: Mapping[str, Input],
    prefix: str | None = None,
    branches: Mapping[str, Sequence[str]] | None = None,
) -> Callable[[Function], Function]:
    """Give a function that `@node` made a class of inputs `prefix.member` in the place of one parameter.

    Without `prefix`, that is the parameter's name. Where `prefix` is an input of choices, `branches` says
    which members each choice brings, in the order of a front end's fields; its option `branches` has their
    whole names.
    """
    start = f"{prefix or parameter}."

    def expand(function: Function) -> Function:
        entry = node_class(function)
        if entry is None or parameter not in entry.inputs:
            raise TypeError(f"{function.__qualname__} is no node with a parameter {parameter!r}")
        body = entry.bind()
        run = Body(_gathering(body.run, parameter, start), body.needed)
        function.__node_class__ = dataclasses.replace(  # type: ignore[attr-defined]
            entry, inputs=_expanded(entry, parameter, start, members, branches), bind=lambda: run
        )
        return function

    return expand


def _expanded(
    entry: NodeClass,
    parameter: str,
    start: str,
    members: Mapping[str, Input],
    branches: Mapping[str, Sequence[str]] | None,
) -> dict[str, Input]:
    inputs: dict[str, Input] = {}
    for name, spec in entry.inputs.items():
        if name == parameter:
            inputs.update({start + member: of for member, of in members.items()})
        elif branches and name == start.removesuffix("."):
            brought = {choice: tuple(start + member for member in of) for choice, of in branches.items()}
            inputs[name] = dataclasses.replace(spec, options={**spec.options, "branches": brought})
        else:
            inputs[name] = spec
    return inputs


def _gathering(run: Callable[..., Any], parameter: str, start: str) -> Callable[..., Any]:
    def gather(**inputs: Any) -> Any:
        group = {
            name.removeprefix(start): inputs.pop(name) for name in list(inputs) if name.startswith(start)
        }
        return run(**inputs, **{parameter: group})

    return gather
