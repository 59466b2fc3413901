"""Nodes that hold one value, or make a number of one."""

from __future__ import annotations

import math
from typing import Annotated, Any

from comfykit.engine.define import integer, node, text
from comfykit.engine.schema import COMBO, Input
from comfykit.errors import UsageError
from comfykit.nodes.types import Boolean, Float, Int, Text

LARGEST = 2**63 - 1


@node("PrimitiveInt", title="Int", category="utils/primitive")
def primitive_int(
    value: Annotated[
        int,
        Input("INT", minimum=-LARGEST, maximum=LARGEST, step=1, options={"control_after_generate": True}),
    ],
) -> Int:
    """A whole number."""
    return value


@node("PrimitiveFloat", title="Float", category="utils/primitive")
def primitive_float(
    value: Annotated[float, Input("FLOAT", minimum=-LARGEST, maximum=LARGEST, step=0.01)],
) -> Float:
    """A number."""
    return value


@node("PrimitiveBoolean", title="Boolean", category="utils/primitive")
def primitive_boolean(value: Boolean) -> Boolean:
    """Yes or no."""
    return value


@node("PrimitiveString", title="String", category="utils/primitive")
def primitive_string(value: Annotated[str, text()]) -> Text:
    """A line of text."""
    return value


@node("PrimitiveStringMultiline", title="String (Multiline)", category="utils/primitive")
def primitive_string_multiline(value: Annotated[str, text(multiline=True)]) -> Text:
    """Several lines of text."""
    return value


@node("SeedNode", title="Seed", category="utils/primitive", output_names=("seed",))
def seed_node(seed: Annotated[int, integer(0, 0, LARGEST, control_after_generate=True)]) -> Int:
    """A seed that several samplers can share."""
    return seed


@node("CustomCombo", title="Custom Combo", category="utils", output_names=("STRING", "INDEX"))
def custom_combo(
    choice: Annotated[str, Input(COMBO)], index: Annotated[int, integer(0, -LARGEST, LARGEST)] = 0
) -> tuple[Text, Int]:
    """One of some texts that were written into the front end, and its place among them."""
    return str(choice), index


@node("ComfyNumberConvert", title="Number Convert", category="utils", output_names=("FLOAT", "INT"))
def number_convert(
    value: Annotated[Any, Input("INT,FLOAT,STRING,BOOLEAN")],
) -> tuple[Float, Int]:
    """Make a number of a text or of yes and no; the whole one has its fraction cut off."""
    try:
        whole = None if isinstance(value, float) else int(value)
    except (TypeError, ValueError):
        whole = None
    if whole is not None:
        return float(whole), whole
    number = _finite(value)
    return number, int(number)


def _finite(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{value!r} is no number") from error
    if not math.isfinite(number):
        raise UsageError(f"{value!r} is no finite number")
    return number
