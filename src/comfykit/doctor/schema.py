"""Dataclasses to plain values and back, strictly: a field that nobody knows is an error that names it."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from comfykit.errors import UsageError

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """A value as JSON has them; fields that have their default are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if not _is_default(field, getattr(value, field.name))
        }
    if isinstance(value, Mapping):
        return {str(key): to_plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value


def from_plain(kind: type[T], value: Any, where: str = "facts") -> T:
    """A dataclass from plain values; raises `UsageError` where they do not fit."""
    found: T = _read(kind, value, where)
    return found


def _read(kind: Any, value: Any, where: str) -> Any:  # noqa: PLR0911
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return _read_union([entry for entry in arguments if entry is not type(None)], value, where)
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, value, where)
    if origin is tuple:
        return _read_tuple(arguments, value, where)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise _wrong(where, "a table", value)
        return {str(key): _read(arguments[1], entry, f"{where}.{key}") for key, entry in value.items()}
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _wrong(where, kind.__name__, value)
    return value


def _read_union(kinds: list[Any], value: Any, where: str) -> Any:
    for kind in kinds:
        try:
            return _read(kind, value, where)
        except UsageError:
            if len(kinds) == 1:
                raise
    raise _wrong(where, " or ".join(map(str, kinds)), value)


def _read_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise _wrong(where, "a table", value)
    hints = get_type_hints(kind)
    unknown = sorted(set(value) - {field.name for field in dataclasses.fields(kind)})
    if unknown:
        raise UsageError(
            f"{where}: nobody knows the fact {unknown[0]!r}", hint="docs/doctor.md lists the facts"
        )
    fields = {name: _read(hints[name], entry, f"{where}.{name}") for name, entry in value.items()}
    try:
        return kind(**fields)
    except TypeError as error:
        raise UsageError(f"{where}: {error}") from error


def _read_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _wrong(where, "a list", value)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_read(arguments[0], entry, f"{where}[{at}]") for at, entry in enumerate(value))
    if len(arguments) != len(value):
        raise _wrong(where, f"{len(arguments)} values", value)
    return tuple(_read(kind, entry, where) for kind, entry in zip(arguments, value, strict=True))


def _is_default(field: dataclasses.Field[Any], value: Any) -> bool:
    if field.default is not dataclasses.MISSING:
        return bool(value == field.default)
    if field.default_factory is not dataclasses.MISSING:
        return bool(value == field.default_factory())
    return False


def _wrong(where: str, expected: str, value: object) -> UsageError:
    return UsageError(f"{where}: expected {expected}, found {value!r}")
