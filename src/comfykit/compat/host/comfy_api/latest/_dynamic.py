"""Inputs of several types, of a type that must match another's, and inputs that bring others with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comfykit.compat.host.comfy_api.latest._types import (
    ComfyTypeI,
    ComfyTypeIO,
    comfytype,
    names_of,
    pruned,
)
from comfykit.compat.host.comfy_api.latest._types import Input as BaseInput
from comfykit.compat.host.comfy_api.latest._types import Output as BaseOutput


@comfytype(io_type="*")
class AnyType(ComfyTypeIO):
    Type = Any


class MultiType:
    """An input of several types, with the field of the first where one is given as an input."""

    Type = Any

    class Input(BaseInput):
        def __init__(
            self,
            id: Any,
            types: Sequence[Any],
            display_name: str | None = None,
            optional: bool = False,
            tooltip: str | None = None,
            lazy: bool | None = None,
            extra_dict: dict[str, Any] | None = None,
            **further: Any,
        ) -> None:
            self.input_override = None if isinstance(id, str) else id
            if self.input_override is not None:
                of = self.input_override
                id = of.id
                display_name, tooltip = display_name or of.display_name, tooltip or of.tooltip
                optional, lazy = optional or of.optional, of.lazy if lazy is None else lazy
            super().__init__(id, display_name, optional, tooltip, lazy, extra_dict, **further)
            self._io_types = list(types)

        @property
        def io_types(self) -> list[Any]:
            """The types, that of the field first."""
            own = [] if self.input_override is None else [self.input_override.Parent]
            return [*own, *(kind for kind in self._io_types if kind not in own)]

        @property
        def io_type(self) -> str:
            return names_of(self.io_types)

        def as_dict(self) -> dict[str, Any]:
            field = {} if self.input_override is None else self.input_override.as_dict()
            widget = None if self.input_override is None else self.input_override.io_type
            return {**field, **super().as_dict(), **pruned({"widgetType": widget})}


@comfytype(io_type="COMFY_MATCHTYPE_V3")
class MatchType(ComfyTypeIO):
    """Inputs and outputs whose types are the same, whichever it is."""

    class Template:
        def __init__(self, template_id: str, allowed_types: Any = AnyType) -> None:
            self.template_id = template_id
            several = isinstance(allowed_types, list | tuple)
            self.allowed_types = list(allowed_types) if several else [allowed_types]

        def as_dict(self) -> dict[str, Any]:
            return {"template_id": self.template_id, "allowed_types": names_of(self.allowed_types)}

    class Input(BaseInput):
        def __init__(self, id: str, template: MatchType.Template, *args: Any, **kwargs: Any) -> None:
            super().__init__(id, *args, **kwargs)
            self.template = template

        def as_dict(self) -> dict[str, Any]:
            return {**super().as_dict(), "template": self.template.as_dict()}

    class Output(BaseOutput):
        """Given as (template, id) in newer releases, as (id, template) in older ones."""

        def __init__(self, template: Any = None, id: Any = None, *args: Any, **kwargs: Any) -> None:
            if isinstance(template, str) or template is None:
                template, id = id, template
            super().__init__(id, *args, **kwargs)
            self.template = template

        def as_dict(self) -> dict[str, Any]:
            return {**super().as_dict(), "template": self.template.as_dict()}


class DynamicInput(BaseInput):
    """An input that brings others."""


class DynamicOutput(BaseOutput):
    """An output that stands for others."""


class _Template:
    """What the inputs of an `Autogrow` are like."""

    def __init__(self, input: BaseInput, names: Sequence[str], min: int) -> None:
        self.input = input
        self.names = list(names)
        self.min = min

    def as_dict(self) -> dict[str, Any]:
        group = "optional" if self.input.optional else "required"
        member = (self.input.get_io_type(), self.input.as_dict())
        return {"input": {group: {self.input.id: member}}, "min": self.min}


@comfytype(io_type="COMFY_AUTOGROW_V3")
class Autogrow(ComfyTypeI):
    """Any number of inputs of one kind; the node gets them as one dictionary."""

    Type = dict[str, Any]

    class TemplatePrefix(_Template):
        """`image0`, `image1`, ... up to `max` of them."""

        def __init__(self, input: BaseInput, prefix: str, min: int = 1, max: int = 10) -> None:
            super().__init__(input, [f"{prefix}{index}" for index in range(max)], min)
            self.prefix = prefix
            self.max = max

        def as_dict(self) -> dict[str, Any]:
            return {**super().as_dict(), "prefix": self.prefix, "max": self.max}

    class TemplateNames(_Template):
        """Those of a list of names."""

        def __init__(self, input: BaseInput, names: Sequence[str], min: int = 1) -> None:
            super().__init__(input, names, min)

        def as_dict(self) -> dict[str, Any]:
            return {**super().as_dict(), "names": self.names}

    class Input(DynamicInput):
        def __init__(self, id: str, template: _Template, *args: Any, **kwargs: Any) -> None:
            super().__init__(id, *args, **kwargs)
            self.template = template

        def as_dict(self) -> dict[str, Any]:
            return {**super().as_dict(), "template": self.template.as_dict()}


@comfytype(io_type="COMFY_DYNAMICCOMBO_V3")
class DynamicCombo(ComfyTypeI):
    """A choice that brings inputs of its own; the node gets both as one dictionary."""

    Type = dict[str, Any]

    class Option:
        def __init__(self, key: str, inputs: Sequence[BaseInput] = ()) -> None:
            self.key = key
            self.inputs = list(inputs)

        def as_dict(self) -> dict[str, Any]:
            return {"key": self.key, "inputs": grouped(self.inputs)}

    class Input(DynamicInput):
        def __init__(self, id: str, options: Sequence[Any], *args: Any, **kwargs: Any) -> None:
            super().__init__(id, *args, **kwargs)
            self.options = list(options)

        def as_dict(self) -> dict[str, Any]:
            return {**super().as_dict(), "options": [option.as_dict() for option in self.options]}

        def get_all(self) -> list[BaseInput]:
            return [self, *(one for option in self.options for one in option.inputs)]


@comfytype(io_type="COMFY_DYNAMICSLOT_V3")
class DynamicSlot(ComfyTypeI):
    """An input that brings others once it is linked."""

    Type = dict[str, Any]

    class Input(DynamicInput):
        def __init__(self, slot: BaseInput, inputs: Sequence[BaseInput], *args: Any, **kwargs: Any) -> None:
            super().__init__(slot.id, *args, **kwargs)
            self.slot = slot
            self.inputs = list(inputs)
            self.optional = True

        @property
        def io_type(self) -> str:
            return self.slot.io_type

        def as_dict(self) -> dict[str, Any]:
            return {**super().as_dict(), "slotType": self.slot.io_type, "inputs": grouped(self.inputs)}

        def get_all(self) -> list[BaseInput]:
            return [self, *self.inputs]


def grouped(inputs: Sequence[BaseInput]) -> dict[str, dict[str, Any]]:
    """Inputs as `INPUT_TYPES` gives them."""
    groups: dict[str, dict[str, Any]] = {}
    for one in inputs:
        group = "optional" if one.optional else "required"
        groups.setdefault(group, {})[one.id] = (one.get_io_type(), one.as_dict())
    return groups
