"""Our node classes in ComfyUI's first form, as packs call them: `VAEDecode().decode(vae, samples)`.

A class has a function under the name that ComfyUI gives it, whose parameters come in ComfyUI's order. It runs
our node with the context of the node at work; what packs hand over crosses into our shapes, and back.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comfykit.compat import crossing, runtime
from comfykit.engine.calls import normalise
from comfykit.engine.schema import COMBO, Environment, Input, Listing, Missing, NodeClass
from comfykit.engine.values import ExecutionBlocker

_HIDDEN_TYPES = ("PROMPT", "EXTRA_PNGINFO", "UNIQUE_ID", "DYNPROMPT")


class HostFolders:
    """The files that combos name, with the folders that packs added."""

    def choices(self, folder: str) -> Sequence[str]:
        """Names of the files of a `Listing`."""
        from comfykit.compat.host import folder_paths

        if folder.startswith("models/"):
            return folder_paths.get_filename_list(folder.removeprefix("models/"))
        place = Path(folder_paths.get_directory_by_type(folder) or "")
        return sorted(path.name for path in place.iterdir() if path.is_file()) if place.is_dir() else []

    def missing(self, folder: str, name: str) -> Missing:
        """Packs ask for choices alone."""
        return Missing(f"no {name!r} in {folder}")


_FOLDERS: Environment = HostFolders()


class BuiltinNode:
    """Base of the classes that `v1_class` makes."""

    _entry: NodeClass
    _order: tuple[str, ...]
    FUNCTION: str
    CATEGORY: str
    RETURN_TYPES: tuple[str, ...]

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Any]]:  # noqa: N802  (ComfyUI's name)
        """The inputs by name, in groups."""
        groups: dict[str, dict[str, Any]] = {"required": {}}
        for name, spec in cls._entry.inputs.items():
            groups.setdefault("required" if spec.required else "optional", {})[name] = _described(spec)
        hidden = {name: what for name, what in cls._entry.hidden.items() if what in _HIDDEN_TYPES}
        return {**groups, "hidden": hidden} if hidden else groups

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        given = dict(zip(self._order, args, strict=False)) | kwargs
        if len(args) > len(self._order):
            raise TypeError(f"{self._entry.name} takes {len(self._order)} inputs, {len(args)} were given")
        return run(self._entry, given)


def run(entry: NodeClass, given: dict[str, Any]) -> Any:
    """What ComfyUI's function would return: a tuple of outputs, or a dictionary where something is shown.

    Inputs that are not given have their defaults; a `TypeError` names those that have none.
    """
    inputs = {name: crossing.to_engine(value) for name, value in given.items() if name in entry.inputs}
    for name, spec in entry.inputs.items():
        if name not in inputs and spec.default is not None:
            inputs[name] = spec.default
    lacking = [name for name, spec in entry.inputs.items() if spec.required and name not in inputs]
    if lacking:
        raise TypeError(f"{entry.name} needs {', '.join(lacking)}")
    for name, what in entry.hidden.items():
        inputs[name] = runtime.context() if what == "CONTEXT" else given.get(name)
    output = normalise(entry.bind().run(**inputs))
    result = output.result
    if isinstance(result, tuple):
        result = tuple(crossing.to_pack(value) for value in result)
    elif isinstance(result, ExecutionBlocker):
        result = (result,) * len(entry.outputs)
    if not output.ui:
        return () if result is None else result
    shown = {"ui": dict(output.ui)}
    return shown if result is None else {**shown, "result": result}


def v1_class(
    entry: NodeClass,
    function: str = "execute",
    order: Sequence[str] = (),
    base: type[BuiltinNode] = BuiltinNode,
    module: str = "nodes",
) -> type[BuiltinNode]:
    """A class in the first form of one of ours.

    `function` is what ComfyUI calls its function, `order` the parameters of that in ComfyUI's order where it
    is another than that of the inputs.
    """
    parameters = tuple(order) or tuple(entry.inputs)
    parameters += tuple(name for name in entry.inputs if name not in parameters)
    parameters += tuple(name for name, what in entry.hidden.items() if what in _HIDDEN_TYPES)

    def called(self: BuiltinNode, *args: Any, **kwargs: Any) -> Any:
        return self._run(*args, **kwargs)

    called.__name__ = function
    called.__doc__ = entry.description
    called.__signature__ = _signature(entry, parameters)  # type: ignore[attr-defined]
    members: dict[str, Any] = {
        "__module__": module,
        "__doc__": entry.description,
        "_entry": entry,
        "_order": parameters,
        "FUNCTION": function,
        "CATEGORY": entry.category,
        "DESCRIPTION": entry.description,
        "RETURN_TYPES": tuple(slot.type for slot in entry.outputs),
        "RETURN_NAMES": tuple(slot.name for slot in entry.outputs),
        "OUTPUT_NODE": entry.output_node,
        "INPUT_IS_LIST": entry.input_is_list,
        function: called,
    }
    if any(slot.is_list for slot in entry.outputs):
        members["OUTPUT_IS_LIST"] = tuple(slot.is_list for slot in entry.outputs)
    if entry.fingerprint is not None:
        members["IS_CHANGED"] = staticmethod(entry.fingerprint)
    if entry.check is not None:
        members["VALIDATE_INPUTS"] = staticmethod(entry.check)
    return type(_identifier(entry.name), (base,), members)


def _signature(entry: NodeClass, parameters: Sequence[str]) -> inspect.Signature:
    """In ComfyUI's order; from the first parameter with a default on, all have one."""
    made = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    optional = False
    for name in parameters:
        spec = entry.inputs.get(name)
        optional = optional or spec is None or not spec.required
        default = inspect.Parameter.empty if not optional or spec is None else spec.default
        default = None if optional and default is inspect.Parameter.empty else default
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD if name.isidentifier() else None
        if kind is not None:
            made.append(inspect.Parameter(name, kind, default=default))
    return inspect.Signature([*made, inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)])


def _identifier(name: str) -> str:
    return "".join(sign if sign.isidentifier() or sign.isdigit() else "_" for sign in name)


def _described(spec: Input) -> tuple[Any, ...]:
    bounds = {"default": spec.default, "min": spec.minimum, "max": spec.maximum, "step": spec.step}
    options = {name: value for name, value in bounds.items() if value is not None}
    options |= {"lazy": True} if spec.lazy else {}
    options |= {"rawLink": True} if spec.raw_link else {}
    options |= {name: value for name, value in spec.options.items() if name != "branches"}
    kind: Any = spec.type
    if spec.type == COMBO:
        allowed = spec.choices.names(_FOLDERS) if isinstance(spec.choices, Listing) else spec.choices
        kind = list(allowed or ())
    return (kind, options) if options else (kind,)
