"""What the inputs of node classes are called, which is what naming a node's saved values takes.

The front end saves the values of a node as a list in the order of its widgets; only the interface of its
class says which value belongs to which input. It comes from ComfyUI's `/object_info` (here) or from the
registry of the engine (`comfykit.services.workflows`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard

from comfykit.engine.schema import COMBO, WIDGET_TYPES
from comfykit.errors import UsageError, WorkflowError
from comfykit.workflow import strict_json

SEEDS = ("seed", "noise_seed")
# Widgets that the front end brings for types no node puts out.
_OTHER_WIDGETS = frozenset(
    {"AUDIO_RECORD", "BOUNDING_BOX", "COLOR", "CURVE", "LOAD_3D", "LOAD_3D_ANIMATION", "WEBCAM"}
)
_DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO"


@dataclass(frozen=True, slots=True)
class InputInterface:
    """One input. `widget` says that the front end shows a field for it, whose value it saves.

    `control` is true where a further field follows that says what becomes of the value after a run,
    `buttons` where some to upload a file do. `branches` has, for a choice that brings inputs of its own,
    those inputs by choice.
    """

    name: str
    type: str
    required: bool = True
    widget: bool = False
    default: Any = None
    control: bool = False
    buttons: bool = False
    dynamic_prompts: bool = False
    branches: Mapping[str, tuple[InputInterface, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClassInterface:
    """A node class: its inputs in the order that the front end shows them, required ones first."""

    name: str
    title: str
    inputs: tuple[InputInterface, ...] = ()

    def __contains__(self, name: str) -> bool:
        """Whether there is an input of that name, or a choice that brings it (`size.width` of `size`)."""
        return any(
            name == known.name or (known.branches and name.startswith(f"{known.name}."))
            for known in self.inputs
        )


Interfaces: TypeAlias = Mapping[str, ClassInterface]


def has_widget(kind: str, options: Mapping[str, Any]) -> bool:
    """Whether the front end shows a field for an input of this type."""
    if options.get("forceInput") or options.get("rawLink"):
        return False
    return kind in WIDGET_TYPES or kind in _OTHER_WIDGETS or kind.startswith(_DYNAMIC_COMBO)


def has_control(name: str, kind: str, options: Mapping[str, Any]) -> bool:
    """Whether a field follows that says what becomes of a value after a run."""
    return bool(options.get("control_after_generate")) or (kind == "INT" and name in SEEDS)


def read_object_info(path: Path) -> dict[str, ClassInterface]:
    """Interfaces from a file that holds what ComfyUI answers to `GET /object_info`.

    Raises `UsageError` for a file that cannot be read or holds something else.
    """
    hint = "save what http://127.0.0.1:8188/object_info answers while ComfyUI runs"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}", hint=hint) from error
    try:
        document = strict_json.loads(strict_json.decode(data, str(path)), str(path)).value
    except WorkflowError as error:
        raise UsageError(str(error), hint=hint) from error
    if not isinstance(document, dict) or not all(
        isinstance(entry, dict) and isinstance(entry.get("input"), dict) for entry in document.values()
    ):
        raise UsageError(f"{path}: not the interface of node classes", hint=hint)
    return from_object_info(document)


def from_object_info(document: Mapping[str, Mapping[str, Any]]) -> dict[str, ClassInterface]:
    """Interfaces from the answer to `/object_info`: class name to `{"input": {"required": ..., ...}}`."""
    return {
        name: ClassInterface(
            name,
            _text(entry.get("display_name")) or name,
            tuple(_inputs(entry.get("input"), entry.get("input_order"))),
        )
        for name, entry in document.items()
    }


def _inputs(parts: Any, order: Any = None, prefix: str = "") -> Iterator[InputInterface]:
    for part in ("required", "optional"):
        specs = parts.get(part) if isinstance(parts, dict) else None
        if not isinstance(specs, dict):
            continue
        listed = order.get(part) if isinstance(order, dict) else None
        names = [name for name in listed if name in specs] if _is_names(listed) else list(specs)
        for name in names:
            yield _input(f"{prefix}{name}", specs[name], part == "required")


def _input(name: str, spec: Any, required: bool) -> InputInterface:
    """One input from `[type, options]`, or `[[choice, ...], options]`."""
    spec = spec if isinstance(spec, list) and spec else ["*"]
    options = spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}
    choices = spec[0] if isinstance(spec[0], list) else options.get("options")
    kind = COMBO if isinstance(spec[0], list) else _text(spec[0]) or "*"
    branches = dict(_branches(name, choices)) if kind.startswith(_DYNAMIC_COMBO) else {}
    first = next(iter(branches or (choices if isinstance(choices, list) else ())), None)
    return InputInterface(
        name,
        kind,
        required,
        has_widget(kind, options),
        options.get("default", first),
        has_control(name, kind, options),
        bool(options.get("file_upload")),
        bool(options.get("dynamicPrompts")),
        branches,
    )


def _branches(name: str, choices: Any) -> Iterator[tuple[str, tuple[InputInterface, ...]]]:
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and isinstance(choice.get("key"), str):
            yield choice["key"], tuple(_inputs(choice.get("inputs"), prefix=f"{name}."))


def _is_names(value: Any) -> TypeGuard[Sequence[str]]:
    return isinstance(value, Sequence) and all(isinstance(name, str) for name in value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
