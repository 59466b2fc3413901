"""The types whose inputs have a field to set them by: numbers, texts, choices."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, ClassVar

from comfykit.compat.host.comfy_api.latest._types import (
    ComfyTypeI,
    ComfyTypeIO,
    WidgetInput,
    comfytype,
    pruned,
)
from comfykit.compat.host.comfy_api.latest._types import Output as BaseOutput


class FolderType(enum.StrEnum):
    input = "input"
    output = "output"
    temp = "temp"


class UploadType(enum.StrEnum):
    image = "image_upload"
    audio = "audio_upload"
    video = "video_upload"
    model = "file_upload"


class NumberDisplay(enum.StrEnum):
    number = "number"
    slider = "slider"
    gradient_slider = "gradientslider"


class ControlAfterGenerate(enum.StrEnum):
    fixed = "fixed"
    increment = "increment"
    decrement = "decrement"
    randomize = "randomize"


@dataclass
class RemoteOptions:
    """Choices that a front end asks a server for."""

    route: str
    refresh_button: bool
    control_after_refresh: str = "first"
    timeout: int | None = None
    max_retries: int | None = None
    refresh: int | None = None

    def as_dict(self) -> dict[str, Any]:
        return pruned(vars(self))


def _said(value: Any) -> Any:
    """What an enumeration's member stands for."""
    return value.value if isinstance(value, enum.Enum) else value


class _Widget(WidgetInput):
    """A field whose further options are those that a class names."""

    OPTIONS: ClassVar[dict[str, str]] = {}  # parameter -> name of the option
    DEFAULTS: ClassVar[dict[str, Any]] = {}

    def __init__(self, id: str, *args: Any, **kwargs: Any) -> None:
        own = {name: kwargs.pop(name, self.DEFAULTS.get(name)) for name in self.OPTIONS}
        super().__init__(id, *args, **kwargs)
        vars(self).update(own)

    def as_dict(self) -> dict[str, Any]:
        own = {option: _said(getattr(self, name)) for name, option in self.OPTIONS.items()}
        return {**super().as_dict(), **pruned(own)}


@comfytype(io_type="BOOLEAN")
class Boolean(ComfyTypeIO):
    Type = bool

    class Input(_Widget):
        OPTIONS = {"label_on": "label_on", "label_off": "label_off"}  # noqa: RUF012


@comfytype(io_type="INT")
class Int(ComfyTypeIO):
    Type = int

    class Input(_Widget):
        OPTIONS = {  # noqa: RUF012
            "min": "min",
            "max": "max",
            "step": "step",
            "control_after_generate": "control_after_generate",
            "display_mode": "display",
        }


@comfytype(io_type="FLOAT")
class Float(ComfyTypeIO):
    Type = float

    class Input(_Widget):
        OPTIONS = {  # noqa: RUF012
            "min": "min",
            "max": "max",
            "step": "step",
            "round": "round",
            "display_mode": "display",
            "gradient_stops": "gradient_stops",
        }


@comfytype(io_type="STRING")
class String(ComfyTypeIO):
    Type = str

    class Input(_Widget):
        OPTIONS = {  # noqa: RUF012
            "multiline": "multiline",
            "placeholder": "placeholder",
            "dynamic_prompts": "dynamicPrompts",
        }
        DEFAULTS = {"multiline": False}  # noqa: RUF012


def _choices(options: Any) -> list[Any] | None:
    if isinstance(options, type) and issubclass(options, enum.Enum):
        return [member.value for member in options]
    return None if options is None else list(options)


class _ChoiceInput(WidgetInput):
    """One of several, by hand; `options` are the choices, or an enumeration."""

    multiselect = False

    def __init__(
        self,
        id: str,
        options: Any = None,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        default: Any = None,
        control_after_generate: Any = None,
        upload: UploadType | None = None,
        image_folder: FolderType | None = None,
        remote: RemoteOptions | None = None,
        socketless: bool | None = None,
        extra_dict: dict[str, Any] | None = None,
        placeholder: str | None = None,
        chip: bool | None = None,
        **further: Any,
    ) -> None:
        super().__init__(
            id,
            display_name,
            optional,
            tooltip,
            lazy,
            _said(default),
            socketless,
            extra_dict=extra_dict,
            **further,
        )
        self.options = _choices(options)
        self.control_after_generate = control_after_generate
        self.upload = upload
        self.image_folder = image_folder
        self.remote = remote
        self.placeholder = placeholder
        self.chip = chip

    def as_dict(self) -> dict[str, Any]:
        own = {
            "multiselect": self.multiselect,
            "options": self.options,
            "control_after_generate": _said(self.control_after_generate),
            "image_folder": _said(self.image_folder),
            "remote": self.remote.as_dict() if self.remote else None,
            "placeholder": self.placeholder,
            "chip": self.chip,
        }
        if self.upload is not None:
            own[str(_said(self.upload))] = True
        return {**super().as_dict(), **pruned(own)}


@comfytype(io_type="COMBO")
class Combo(ComfyTypeIO):
    Type = str
    Input = _ChoiceInput

    class Output(BaseOutput):
        def __init__(
            self,
            id: str | None = None,
            display_name: str | None = None,
            options: Any = None,
            tooltip: str | None = None,
            is_output_list: bool = False,
        ) -> None:
            super().__init__(id, display_name, tooltip, is_output_list)
            self.options = _choices(options)


@comfytype(io_type="COMBO")
class MultiCombo(ComfyTypeI):
    """Several of several."""

    Type = list[str]

    class Input(_ChoiceInput):
        multiselect = True

        def as_dict(self) -> dict[str, Any]:
            told = super().as_dict()
            chosen = pruned({"placeholder": told.pop("placeholder", None), "chip": told.pop("chip", None)})
            return {**told, "multi_select": chosen}


@comfytype(io_type="WEBCAM")
class Webcam(ComfyTypeIO):
    Type = str
    Input = WidgetInput


@comfytype(io_type="COLOR")
class Color(ComfyTypeIO):
    Type = str
    Input = WidgetInput
