from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfykit.errors import WorkflowError
from comfykit.workflow.strict_json import MAX_DEPTH, find_non_finite, loads, place, shorten

characters = st.characters(exclude_categories=["Cs"]) | st.sampled_from('\\"[]{}u')
strings = st.text(characters, max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | strings,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(strings, inner, max_size=3),
)


@given(values, st.booleans())
def test_what_was_written_is_read(value: Any, ascii_only: bool) -> None:
    assert loads(json.dumps(value, ensure_ascii=ascii_only), "x") == (value, False)


@given(strings, st.integers(0, 2 * MAX_DEPTH))
def test_depth_is_counted_outside_of_strings(text: str, depth: int) -> None:
    said = json.dumps(text)
    document = f"[{said}, " * depth + said + "]" * depth
    if depth <= MAX_DEPTH:
        assert loads(document, "x").non_finite is False
    else:
        with pytest.raises(WorkflowError, match=f"nested {depth} deep"):
            loads(document, "x")


def test_non_finite_numbers_are_told_of_and_found() -> None:
    value, non_finite = loads('{"a": [1, {"b": NaN}], "c": -Infinity, "d": 1e400, "e": 1e300}', "x")
    assert non_finite
    assert sorted(find_non_finite(value)) == ["a.1.b", "c", "d"]


def test_places_count_from_one() -> None:
    assert place("ab\ncd", 0) == "line 1, column 1"
    assert place("ab\ncd", 4) == "line 2, column 2"


def test_long_names_are_cut() -> None:
    assert shorten("a'b") == '"a\'b"'
    assert shorten("x" * 10**6) == f"'{'x' * 57}'..."
