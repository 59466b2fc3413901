"""What inputs, outputs and the types on links are made of: `io.Int.Input("steps", default=20)`.

A type is a class with a name on links (`io_type`), an `Input` and an `Output`, which know it as `Parent`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar

Kind = TypeVar("Kind", bound=type)


def pruned(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


class _Port:
    """An input or output of a schema."""

    Parent: ClassVar[Any] = None

    @property
    def io_type(self) -> str:
        """The type's name on links."""
        return str(self.Parent.io_type)

    @property
    def Type(self) -> Any:
        """What Python type its values have."""
        return self.Parent.Type

    def get_io_type(self) -> str:
        return self.io_type

    def validate(self) -> None:
        """Raise for what cannot be."""


class Input(_Port):
    """An input that takes a link."""

    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        extra_dict: dict[str, Any] | None = None,
        raw_link: bool | None = None,
        advanced: bool | None = None,
        **further: Any,
    ) -> None:
        self.id = id
        self.display_name = display_name
        self.optional = optional
        self.tooltip = tooltip
        self.lazy = lazy
        self.extra_dict = {**(extra_dict or {}), **pruned(further)}
        self.rawLink = raw_link
        self.advanced = advanced

    def as_dict(self) -> dict[str, Any]:
        """Its options as a class of the older form has them."""
        return {
            **pruned(
                {
                    "display_name": self.display_name,
                    "tooltip": self.tooltip,
                    "lazy": self.lazy,
                    "rawLink": self.rawLink,
                    "advanced": self.advanced,
                }
            ),
            **self.extra_dict,
        }

    def get_all(self) -> list[Input]:
        """The inputs that it stands for."""
        return [self]


class WidgetInput(Input):
    """An input that may be set by hand."""

    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        default: Any = None,
        socketless: bool | None = None,
        widget_type: str | None = None,
        force_input: bool | None = None,
        extra_dict: dict[str, Any] | None = None,
        raw_link: bool | None = None,
        advanced: bool | None = None,
        **further: Any,
    ) -> None:
        super().__init__(id, display_name, optional, tooltip, lazy, extra_dict, raw_link, advanced, **further)
        self.default = default
        self.socketless = socketless
        self.widget_type = widget_type
        self.force_input = force_input

    def as_dict(self) -> dict[str, Any]:
        own = {
            "default": self.default,
            "socketless": self.socketless,
            "widgetType": self.widget_type,
            "forceInput": self.force_input,
        }
        return {**super().as_dict(), **pruned(own)}

    def get_widget_type(self) -> str:
        return self.widget_type or self.io_type


class Output(_Port):
    """An output."""

    def __init__(
        self,
        id: str | None = None,
        display_name: str | None = None,
        tooltip: str | None = None,
        is_output_list: bool = False,
    ) -> None:
        self.id = id
        self.display_name = display_name
        self.tooltip = tooltip
        self.is_output_list = is_output_list

    def as_dict(self) -> dict[str, Any]:
        return pruned({"display_name": self.display_name, "tooltip": self.tooltip})


class ComfyType:
    """Base of the types on links."""

    io_type: ClassVar[str] = ""
    Type: ClassVar[Any] = Any
    Input: ClassVar[Any]
    Output: ClassVar[Any]


class ComfyTypeI(ComfyType):
    """A type of inputs alone."""

    Input: ClassVar[Any] = Input


class ComfyTypeIO(ComfyTypeI):
    """A type of inputs and outputs."""

    Output: ClassVar[Any] = Output


def comfytype(io_type: str, **further: Any) -> Callable[[Kind], Kind]:
    """Give a class its name on links, and an `Input` and `Output` that know it."""

    def decorate(kind: Any) -> Any:
        kind.io_type = io_type
        for name in ("Input", "Output"):
            port = getattr(kind, name, None)
            if port is not None:
                made = type(
                    name, (port,), {"Parent": kind, "__doc__": port.__doc__, "__module__": kind.__module__}
                )
                setattr(kind, name, made)
        return kind

    return decorate


def Custom(io_type: str) -> type[ComfyTypeIO]:
    """A type of a pack's own."""
    return comfytype(io_type=io_type)(type("CustomComfyType", (ComfyTypeIO,), {"__doc__": Custom.__doc__}))


def names_of(types: Iterable[Any]) -> str:
    """Types as one name: "IMAGE,MASK"."""
    parts = (part for kind in types for part in str(kind.io_type).split(","))
    return ",".join(dict.fromkeys(parts))
