"""The inputs of a V3 schema as the engine's, and what a node is called with made of them again.

An input that brings others stands in a workflow as several with dots in their names: `method` and
`method.radius` of a `DynamicCombo`, `images.image0` and `images.image1` of an `Autogrow`. The node gets
each as one dictionary: `{"method": "blur", "radius": 2}`, `{"image0": ..., "image1": ...}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from comfykit.compat.v1_inputs import Inputs, read_input
from comfykit.engine.schema import COMBO, Input

_DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO"
_AUTOGROW = "COMFY_AUTOGROW"
_MATCH = "COMFY_MATCHTYPE"


def read_schema_inputs(schema: Any) -> Inputs:
    """The inputs of a schema, those that others bring among them."""
    listed: dict[str, Input] = {}
    growing: list[_Growing] = []
    for given in schema.inputs or ():
        _read(given, "", listed, growing, required=not given.optional)

    def further(name: str) -> Input | None:
        found = next(filter(None, (row.of(name) for row in growing)), None)
        return Input("*", required=False) if found is None and schema.accept_all_inputs else found

    return Inputs(listed, further)


class _Growing:
    """An `Autogrow`: any number of inputs of one kind."""

    def __init__(self, path: str, template: Any) -> None:
        self.names = list(getattr(template, "names", None) or ())
        prefix = str(getattr(template, "prefix", "") or "")
        self.first = int(getattr(template, "min", 0) or 0)
        self.template = template.input
        self._of_prefix = re.compile(rf"{re.escape(path)}\.{re.escape(prefix)}\d+")
        self._path, self._prefix = path, prefix

    def least(self) -> list[str]:
        """Names of those that must be there."""
        names = self.names or [f"{self._prefix}{index}" for index in range(self.first)]
        return [f"{self._path}.{name}" for name in names[: self.first]]

    def of(self, name: str) -> Input | None:
        """The input of that name, if it may be one of these."""
        if self.names:
            good = name in (f"{self._path}.{known}" for known in self.names)
        else:
            good = self._of_prefix.fullmatch(name) is not None
        return _plain(self.template, required=False) if good else None


def _read(
    given: Any, above: str, listed: dict[str, Input], growing: list[_Growing], *, required: bool
) -> None:
    path, kind = f"{above}{given.id}", io_type(given)
    if kind.startswith(_DYNAMIC_COMBO):
        choices = tuple(str(option.key) for option in given.options)
        listed[path] = Input(COMBO, choices=choices, required=required, options={"dynamic": True})
        for option in given.options:
            for brought in option.inputs or ():
                _read(brought, f"{path}.", listed, growing, required=False)
    elif kind.startswith(_AUTOGROW):
        row = _Growing(path, given.template)
        growing.append(row)
        needed = required and not getattr(row.template, "optional", False)
        listed.update({name: _plain(row.template, required=needed) for name in row.least()})
    else:
        listed[path] = _plain(given, required=required)


def _plain(given: Any, *, required: bool) -> Input:
    return read_input((io_type(given), dict(given.as_dict())), required=required)


def io_type(given: Any) -> str:
    """The type of an input or output; one that must match another's is any of those it may be."""
    kind = str(given.get_io_type() if hasattr(given, "get_io_type") else given.io_type)
    if kind.startswith(_MATCH):
        allowed = getattr(getattr(given, "template", None), "allowed_types", None) or ()
        names = [str(one.io_type) for one in (allowed if isinstance(allowed, Iterable) else (allowed,))]
        return ",".join(names) or "*"
    return kind


def nested(schema: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by the names of the schema's inputs: those with dots gathered in dictionaries."""
    gathered = dict(arguments)
    for path, is_choice in _holders(schema):
        brought = {name: gathered.pop(name) for name in list(gathered) if name.startswith(f"{path}.")}
        short = {name.removeprefix(f"{path}."): value for name, value in brought.items()}
        if is_choice and path in gathered:
            gathered[path] = {path.rpartition(".")[2]: gathered[path], **short}
        elif not is_choice:
            gathered[path] = short
    return gathered


def _holders(schema: Any) -> list[tuple[str, bool]]:
    """Paths of inputs that bring others, the inner ones first, and whether each is a choice."""
    found: dict[str, bool] = {}

    def walk(inputs: Iterable[Any], above: str) -> Iterator[tuple[str, bool]]:
        for given in inputs:
            path, kind = f"{above}{given.id}", io_type(given)
            if kind.startswith(_DYNAMIC_COMBO):
                yield path, True
                for option in given.options:
                    yield from walk(option.inputs or (), f"{path}.")
            elif kind.startswith(_AUTOGROW):
                yield path, False

    found.update(walk(schema.inputs or (), ""))
    return sorted(found.items(), key=lambda item: -item[0].count("."))
