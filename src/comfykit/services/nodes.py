"""What node classes there are and what they take, from their own definitions."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfykit.engine.registry import Registry
from comfykit.engine.schema import COMBO, Environment, Input, Listing, NodeClass
from comfykit.errors import UsageError
from comfykit.events import PackStep, Reporter, silent
from comfykit.home import Home
from comfykit.nodes.builtin import builtin_registry
from comfykit.packs.index import class_index, remember
from comfykit.packs.probing import LOOKING, probe_pack


@dataclass(frozen=True, slots=True)
class InputRow:
    """One input as a person reads it."""

    name: str
    type: str
    default: str
    allowed: str
    required: bool


def all_classes(pattern: str | None = None, category: str | None = None) -> list[NodeClass]:
    """Built-in classes by category and name; `pattern` is a glob over names and titles."""
    found = sorted(builtin_registry(), key=lambda entry: (entry.category, entry.name))
    if category is not None:
        found = [entry for entry in found if (entry.category + "/").startswith(category.rstrip("/") + "/")]
    if pattern is not None:
        found = [entry for entry in found if _matches(pattern, entry.name, entry.title)]
    return found


@dataclass(frozen=True, slots=True)
class PackClasses:
    """The classes that a pack offers; `failure` is why it cannot be imported, where that is known."""

    pack: str
    names: tuple[str, ...]
    failure: str | None = None


def classes_of_packs(
    home: Home, pattern: str | None = None, reporter: Reporter = silent
) -> list[PackClasses]:
    """What the packs of a home offer; none is imported here.

    A pack whose source does not tell is imported once, in a process of its own, and the answer kept;
    `reporter` is told of each.
    """
    index = class_index(home)
    for pack in index.unclear():
        if not index.entries[pack].is_current:
            reporter(PackStep(pack, LOOKING))
            remember(home, pack, probe_pack(index.places[pack].path, home.root))
    found = []
    for pack, entry in class_index(home).entries.items():
        names = tuple(name for name in entry.classes if pattern is None or _matches(pattern, name))
        if names or (entry.failure and pattern is None):
            found.append(PackClasses(pack, names, entry.failure))
    return found


def _matches(pattern: str, *names: str) -> bool:
    glob = pattern.casefold() if any(sign in pattern for sign in "*?[") else f"*{pattern.casefold()}*"
    return any(fnmatch.fnmatch(name.casefold(), glob) for name in names)


def find_class(name: str, registry: Registry | None = None) -> NodeClass:
    """The class of that name; raises `UsageError` with the nearest names where there is none."""
    registry = builtin_registry() if registry is None else registry
    entry = registry.get(name)
    if entry is None and (why := registry.explain(name)) is not None:
        raise UsageError(why.message, hint=why.hint)
    if entry is None:
        near = registry.nearest(name)
        hint = f"did you mean {' or '.join(near)}?" if near else "see `comfykit nodes list`"
        raise UsageError(f"there is no node class {name!r}", hint=hint)
    return entry


def input_rows(entry: NodeClass) -> list[InputRow]:
    """The inputs of a class in their order."""
    return [
        InputRow(name, str(spec.type), _default(spec), _allowed(spec), spec.required)
        for name, spec in entry.inputs.items()
    ]


def object_info(entry: NodeClass, environment: Environment) -> dict[str, Any]:
    """A class as ComfyUI's `/object_info` describes it, with the files of this machine as choices."""
    required = {name: spec for name, spec in entry.inputs.items() if spec.required}
    optional = {name: spec for name, spec in entry.inputs.items() if not spec.required}
    groups: dict[str, dict[str, Any]] = {"required": _described(required, environment)}
    if optional:
        groups["optional"] = _described(optional, environment)
    hidden = {name: what for name, what in entry.hidden.items() if what != "CONTEXT"}
    if hidden:
        groups["hidden"] = hidden
    return {
        "input": groups,
        "input_order": {group: list(inputs) for group, inputs in groups.items()},
        "output": [slot.type for slot in entry.outputs],
        "output_is_list": [slot.is_list for slot in entry.outputs],
        "output_name": [slot.name for slot in entry.outputs],
        "name": entry.name,
        "display_name": entry.title or entry.name,
        "description": entry.description,
        "python_module": entry.module,
        "category": entry.category,
        "output_node": entry.output_node,
        **({"output_tooltips": tips} if any(tips := [slot.tooltip for slot in entry.outputs]) else {}),
        **({"deprecated": True} if entry.deprecated else {}),
        **({"experimental": True} if entry.experimental else {}),
    }


def _described(inputs: Mapping[str, Input], environment: Environment) -> dict[str, list[Any]]:
    return {name: _input_info(spec, environment) for name, spec in inputs.items()}


def _input_info(spec: Input, environment: Environment) -> list[Any]:
    bounds = {"default": spec.default, "min": spec.minimum, "max": spec.maximum, "step": spec.step}
    options = {name: value for name, value in bounds.items() if value is not None}
    options |= {name: True for name in ("lazy",) if getattr(spec, name)}
    if spec.raw_link:
        options["rawLink"] = True
    kind = list(spec.allowed(environment) or ()) if spec.type == COMBO else spec.type
    return [kind, {**options, **spec.options}]


def _default(spec: Input) -> str:
    if spec.socket_only or spec.default is None:
        return ""
    return repr(spec.default) if isinstance(spec.default, str) else str(spec.default)


def _allowed(spec: Input) -> str:
    if isinstance(spec.choices, Listing):
        also = f", {', '.join(spec.choices.also)}" if spec.choices.also else ""
        return f"a file of {spec.choices.folder}/{also}"
    if spec.choices is not None:
        return ", ".join(map(str, spec.choices))
    if spec.minimum is not None or spec.maximum is not None:
        return f"{_number(spec.minimum)} to {_number(spec.maximum)}"
    return "a link" if spec.socket_only else ""


def _number(value: float | None) -> str:
    return "any" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def outputs_line(entry: NodeClass) -> str:
    """The outputs of a class in one line."""
    return ", ".join(_output(slot.name, slot.type, slot.is_list) for slot in entry.outputs) or "nothing"


def _output(name: str, kind: str, is_list: bool) -> str:
    said = kind if name == kind else f"{name} ({kind})"
    return f"{said}, a list" if is_list else said


def categories(classes: Sequence[NodeClass]) -> dict[str, list[NodeClass]]:
    """Classes by category, in order."""
    found: dict[str, list[NodeClass]] = {}
    for entry in classes:
        found.setdefault(entry.category, []).append(entry)
    return found
