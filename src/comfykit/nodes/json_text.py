"""Nodes between texts and values: JSON, and texts with places to fill."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from comfykit.engine.define import integer, node, socket, text
from comfykit.errors import UsageError
from comfykit.nodes.dynamic import Group, grouped, lettered
from comfykit.nodes.types import Text

Indent = Annotated[int, integer(2, 0, 8)]


@node("JsonExtractString", title="JSON Extract String", category="utils/string")
def json_extract_string(
    json_string: Annotated[str, text(multiline=True)], key: Annotated[str, text()]
) -> Text:
    """Take the value of a key out of the first JSON object in a text; the text around it does not matter.

    Empty where there is no such object or key, and for null.
    """
    decoder = json.JSONDecoder()
    start = json_string.find("{")
    while start >= 0:
        try:
            value = decoder.raw_decode(json_string, start)[0].get(key)
        except (ValueError, RecursionError):
            start = json_string.find("{", start + 1)
            continue
        return "" if value is None else str(value)
    return ""


@node("ConvertDictionaryToString", title="Convert Dictionary to String", category="utils/string")
def convert_dictionary_to_string(
    dictionary: Annotated[Mapping[str, Any], socket("DICT")], indent: Indent = 2
) -> Text:
    """Write a dictionary as JSON; an indent of 0 puts it on one line."""
    return _json(dictionary, indent)


@node("ConvertArrayToString", title="Convert Array to String", category="utils/string")
def convert_array_to_string(array: Annotated[Sequence[Any], socket("ARRAY")], indent: Indent = 2) -> Text:
    """Write a list as JSON; an indent of 0 puts it on one line."""
    return _json(array, indent)


@grouped("values", lettered(26, socket("*")))
@node("StringFormat", title="String Format", category="utils/string")
def string_format(f_string: Annotated[str, text("{a}", multiline=True)], values: Group) -> Text:
    """Fill the places of a text: `{a}`, or `{b:.2f}` with one of Python's formats, and so on up to `{z}`."""
    try:
        return _Filler().vformat(f_string, (), values)
    except (KeyError, IndexError) as error:
        given = ", ".join(values) or "none"
        raise UsageError(f"there is no value {error} for the text {f_string!r}; given: {given}") from error
    except (ValueError, TypeError) as error:
        raise UsageError(f"{f_string!r} cannot be filled: {error}") from error


class _Filler(string.Formatter):
    """Takes values by their names alone, not what lies inside them."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return self.get_value(field_name, args, kwargs), field_name

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return kwargs[str(key)]


def _json(value: Any, indent: int) -> str:
    return json.dumps(value, indent=indent or None, ensure_ascii=False, default=str)
