"""Names for the values of a node's fields.

The front end saves the values of all fields of a node in the order it shows them: those of inputs that are
linked as well, and some that are no input: what becomes of a seed after a run, a button to upload a file.
Newer front ends save the names too, or at least name every input that has a field.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from comfykit.workflow.document import UiNode
from comfykit.workflow.interface import ClassInterface, InputInterface

# What becomes of a value after a run; front ends of early 2023 had a yes or no there.
_CONTROLS = ("fixed", "increment", "decrement", "randomize", "increment-wrap")
_BUTTONS = ("upload3dmodel", "uploadExtraResources", "clear")
_UPLOADS = frozenset({"image", "upload", "video", "audio"})
_NOT_INPUTS = frozenset({"control_after_generate", "control_filter_list", "upload", "audioUI"})


@dataclass(frozen=True, slots=True)
class Field:
    """The value of an input's field: `saved` in the file, or its default."""

    name: str
    value: Any
    saved: bool


@dataclass(frozen=True, slots=True)
class Fields:
    """The values of a node by input; `unnamed` counts those that no name was found for."""

    values: dict[str, Any]
    unnamed: int = 0


def name_values(node: UiNode, interface: ClassInterface | None) -> Fields:
    """Values of a node's fields by the name of the input they belong to.

    What the file names itself goes before the order of the interface, as that may be of another version.
    Fields that the file does not know have their defaults. Without an interface the names that the file
    gives to inputs serve where they are as many as there are values.
    """
    saved = node.named or (node.values if isinstance(node.values, dict) else {})
    if interface is None:
        return Fields(_without_buttons(saved)) if saved else _named_by_slots(node)
    if saved:
        known = {name: value for name, value in saved.items() if name in interface}
        return Fields({**_defaults(interface.inputs), **known})
    values = node.values if isinstance(node.values, list) else []
    fields = list(in_order(interface.inputs, values))
    return Fields({entry.name: entry.value for entry in fields if entry.value is not None})


def in_order(inputs: Sequence[InputInterface], values: Sequence[Any]) -> Iterator[Field]:
    """Give values to the inputs that have fields, one after the other; defaults once they run out."""
    left = [entry for entry in reversed(inputs) if entry.widget]
    place = 0
    while left:
        entry = left.pop()
        saved = place < len(values)
        value = values[place] if saved else entry.default
        place += 1
        if entry.control and place < len(values) and _is_control(values[place], left):
            place += 1
        while entry.buttons and place < len(values) and values[place] in _BUTTONS:
            place += 1
        yield Field(entry.name, value, saved)
        if entry.branches and isinstance(value, str):
            left.extend(below for below in reversed(entry.branches.get(value, ())) if below.widget)


def _is_control(value: Any, left: Sequence[InputInterface]) -> bool:
    """Whether a value says what becomes of the one before it, and is not that of the next field."""
    if isinstance(value, bool):
        return not left or left[-1].type != "BOOLEAN"
    return isinstance(value, str) and value in _CONTROLS


def _defaults(inputs: Sequence[InputInterface]) -> dict[str, Any]:
    return {entry.name: entry.default for entry in inputs if entry.widget and entry.default is not None}


def _named_by_slots(node: UiNode) -> Fields:
    """Front ends since 1.16 list an input for every field, in their order."""
    values = node.values if isinstance(node.values, list) else []
    names = [slot.widget for slot in node.inputs if slot.widget]
    bare = list(_without_controls(values))
    while len(bare) > len(names) and (
        bare[-1] is None or (isinstance(bare[-1], str) and bare[-1] in _UPLOADS)
    ):
        bare.pop()
    if len(names) == len(bare):
        return Fields(dict(zip(names, bare, strict=True)))
    return Fields({}, unnamed=len(bare))


def _without_controls(values: Sequence[Any]) -> Iterator[Any]:
    before: Any = None
    for value in values:
        follows = isinstance(before, int) and not isinstance(before, bool)
        if not (follows and isinstance(value, str) and value in _CONTROLS):
            yield value
        before = value


def _without_buttons(saved: Any) -> dict[str, Any]:
    return {name: value for name, value in saved.items() if name not in _NOT_INPUTS}
