"""Nodes that choose, reckon, and make lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from comfykit.engine.define import boolean, integer, node, socket, text
from comfykit.engine.schema import Input
from comfykit.errors import UsageError
from comfykit.nodes.dynamic import Group, grouped, lettered, numbered
from comfykit.nodes.expressions import evaluate
from comfykit.nodes.types import Anything, Boolean, Float, Int

MOST_MEMBERS = 50
LARGEST_INDEX = 2**31

Branch = Annotated[Any, socket("*", lazy=True)]


def wanted_branch(switch: bool, on_false: Any = None, on_true: Any = None) -> list[str]:
    """The branch that must be evaluated."""
    return ["on_true" if switch else "on_false"]


@node("ComfySwitchNode", title="Switch", category="logic", output_names=("output",), needed=wanted_branch)
def switch_node(
    switch: Annotated[bool, boolean(False)], on_false: Branch = None, on_true: Branch = None
) -> Anything:
    """Pass on one of two values; what leads to the other one is not run."""
    return on_true if switch else on_false


@grouped("values", lettered(26, Input("FLOAT,INT,BOOLEAN")))
@node("ComfyMathExpression", title="Math Expression", category="utils", output_names=("FLOAT", "INT", "BOOL"))
def math_expression(
    expression: Annotated[str, text("a + b", multiline=True)], values: Group
) -> tuple[Float, Int, Boolean]:
    """Evaluate a formula of the values a to z: as a number, without fraction, and whether it is not 0.

    It may use Python's operators, `x if a > b else y`, and functions such as min, max, round, floor, sqrt.
    """
    result = evaluate(expression, values)
    return float(result), int(result), bool(result)


@grouped("inputs", numbered("input", MOST_MEMBERS, socket("*")))
@node(
    "CreateList",
    title="Create List",
    category="logic",
    input_is_list=True,
    lists=(True,),
    output_names=("list",),
)
def create_list(inputs: Group) -> Annotated[list[Any], socket("*")]:
    """Make a list of up to 50 values, or lists of them; what follows runs once for each."""
    return [item for items in inputs.values() for item in items]


@node("GetItemFromList", title="Get Item From List", category="logic", input_is_list=True)
def get_item_from_list(
    list: Annotated[Sequence[Any], socket("*")],  # noqa: A002  (the name that workflows use)
    index: Annotated[Sequence[int], integer(0, -LARGEST_INDEX, LARGEST_INDEX)],
) -> Anything:
    """Take one value of a list, counted from 0; negative numbers count from the end."""
    if not -len(list) <= index[0] < len(list):
        raise UsageError(f"the list has {len(list)} items, counted from 0, and none at {index[0]}")
    return list[index[0]]
