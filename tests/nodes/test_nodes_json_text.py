from __future__ import annotations

import pytest

from comfykit.errors import UsageError
from comfykit.nodes.json_text import (
    convert_array_to_string,
    convert_dictionary_to_string,
    json_extract_string,
    string_format,
)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ('{"a": "x"}', "x"),
        ('Sure: {no} ```json\n{"b": 1, "a": 2}``` done', "2"),
        ('{"a": {"c": 1}}', "{'c': 1}"),
        ('{"a": null}', ""),
        ('{"b": 1} {"a": 1}', ""),
        ("[1, 2]", ""),
        ("{" * 5000, ""),
    ],
)
def test_extract(text: str, made: str) -> None:
    assert json_extract_string(text, "a") == made


def test_write() -> None:
    assert convert_dictionary_to_string({"狐": [1]}, 0) == '{"狐": [1]}'
    assert convert_array_to_string([1, 2]) == "[\n  1,\n  2\n]"


def test_format() -> None:
    assert string_format("{a}:{b:.1f} {{x}}", {"a": "狐", "b": 2}) == "狐:2.0 {x}"
    with pytest.raises(UsageError, match="no value 'c'"):
        string_format("{c}", {"a": 1})
    with pytest.raises(UsageError, match="cannot be filled"):
        string_format("{a:q}", {"a": 1})


def test_format_does_not_look_into_values() -> None:
    for text in ("{a.__class__}", "{a[0]}"):
        with pytest.raises(UsageError, match="no value"):
            string_format(text, {"a": "x"})
