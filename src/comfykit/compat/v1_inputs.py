"""What `INPUT_TYPES()` of a pack's class says, as the engine's inputs.

Packs write these dictionaries by hand, and ComfyUI looks into them without much checking, so nearly every
shape occurs: choices as a list, a tuple or the keys of a dictionary; options that are missing or no
dictionary; types that are strings which claim to differ from nothing; an `optional` that claims to
contain every name; hidden inputs that are sockets of a pack's own.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from comfykit.engine.schema import COMBO, Input

# Types that travel along links only: a constant in their place is a mistake, also in a pack's class.
SOCKETS = frozenset(
    {
        *("AUDIO", "CLIP", "CLIP_VISION", "CLIP_VISION_OUTPUT", "CONDITIONING", "CONTROL_NET", "GUIDER"),
        *("IMAGE", "LATENT", "MASK", "MODEL", "NOISE", "SAMPLER", "SIGMAS", "STYLE_MODEL", "UPSCALE_MODEL"),
        *("VAE", "VIDEO"),
    }
)
# What the executor fills in. The keys of accounts are those of nobody here.
KNOWN_HIDDEN = frozenset(
    {"PROMPT", "EXTRA_PNGINFO", "UNIQUE_ID", "DYNPROMPT", "AUTH_TOKEN_COMFY_ORG", "API_KEY_COMFY_ORG"}
)
_ANY = "*"
_NO_SUCH_NAME = "\0no input is called so"
_TAKEN_OVER = frozenset({"default", "min", "max", "step", "lazy", "rawLink", "options"})


class Inputs(dict[str, Input]):
    """Inputs by name, and those that a class takes without having listed them."""

    def __init__(self, listed: Mapping[str, Input], further: Callable[[str], Input | None]) -> None:
        super().__init__(listed)
        self._further = further

    def __missing__(self, name: str) -> Input:
        found = self._further(name)
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and self._further(name) is not None)

    def get(self, name: str, default: Any = None) -> Any:
        """The input of that name, listed or not."""
        found = super().get(name)
        if found is None:
            found = self._further(name)
        return default if found is None else found


def read_inputs(declared: Any, takes: Callable[[str], bool]) -> tuple[Inputs, dict[str, str]]:
    """The inputs of a class, and what the executor fills in by parameter.

    `takes` says whether the class's function has a parameter for a name: links to inputs that are not
    listed are handed to it, as front ends add such inputs to a node.
    """
    groups = declared if isinstance(declared, Mapping) else {}
    required, optional = _group(groups, "required"), _group(groups, "optional")
    listed = {str(name): read_input(spec, required=False) for name, spec in optional.items()}
    listed |= {str(name): read_input(spec, required=True) for name, spec in required.items()}
    order = {**dict.fromkeys(map(str, required)), **dict.fromkeys(map(str, optional))}
    listed = {name: listed[name] for name in order}
    hidden: dict[str, str] = {}
    for name, what in _group(groups, "hidden").items():
        kind = what[0] if isinstance(what, tuple | list) and what else what
        if str(kind) in KNOWN_HIDDEN:
            hidden[str(name)] = str(kind)
        elif str(name) not in listed:
            listed[str(name)] = Input(_ANY, required=False, socket_only=False, options={"hidden": True})
    return Inputs(listed, _Further(optional, takes)), hidden


def _group(groups: Mapping[Any, Any], name: str) -> Mapping[Any, Any]:
    found = groups.get(name)
    return found if isinstance(found, Mapping) else {}


class _Further:
    """Inputs that are not listed: those that a flexible `optional` answers for, and links."""

    def __init__(self, optional: Mapping[Any, Any], takes: Callable[[str], bool]) -> None:
        self._optional = optional if _NO_SUCH_NAME in optional else None
        self._takes = takes

    def __call__(self, name: str) -> Input | None:
        if self._optional is not None:
            return read_input(self._optional[name], required=False)
        return Input(_ANY, required=False, link_only=True) if self._takes(name) else None


def read_input(spec: Any, *, required: bool) -> Input:
    """One input from `(type, options)`, `([choice, ...],)` or what a pack wrote instead."""
    parts = list(spec) if isinstance(spec, tuple | list) else [spec]
    options = parts[1] if len(parts) > 1 and isinstance(parts[1], Mapping) else {}
    kind = parts[0] if parts else _ANY
    choices: Any = None
    if not isinstance(kind, str) and isinstance(kind, Iterable) and not isinstance(kind, type):
        kind, choices = COMBO, kind
    name = type_name(kind)
    if str(name) == COMBO and choices is None:
        choices = options.get("options")
    numeric = name in ("INT", "FLOAT")
    return Input(
        name,
        options.get("default"),
        _number(options.get("min")) if numeric else None,
        _number(options.get("max")) if numeric else None,
        _number(options.get("step")) if numeric else None,
        choices=tuple(choices) if isinstance(choices, Iterable) and not isinstance(choices, str) else None,
        required=required,
        lazy=bool(options.get("lazy")),
        raw_link=bool(options.get("rawLink")),
        socket_only=name in SOCKETS,
        options={str(key): value for key, value in options.items() if key not in _TAKEN_OVER},
    )


def type_name(kind: Any) -> str:
    """A type as the engine compares it: a string that differs from nothing is `*`."""
    if isinstance(kind, enum.Enum):
        kind = kind.value
    if type(kind) is str:
        return kind
    if not isinstance(kind, str):
        if isinstance(kind, type) or not isinstance(kind, Iterable):
            return str(kind)
        return COMBO  # the choices of a combo that it gives
    if not kind != _NO_SUCH_NAME:  # noqa: SIM202  (such strings say no to `!=`; `==` is another method)
        return _ANY
    return _Choosy(kind)


class _Choosy(str):
    """The type of a pack that decides itself what it fits, by `!=`, and is an ordinary string otherwise."""

    _differs: Callable[[object], object]

    def __new__(cls, kind: str) -> _Choosy:
        made = super().__new__(cls, str.__str__(kind))
        made._differs = kind.__ne__
        return made

    def __ne__(self, other: object) -> bool:
        return self._differs(other) is not False

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True

    __hash__ = str.__hash__


def _number(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
