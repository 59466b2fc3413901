from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfykit.errors import UsageError
from comfykit.nodes.expressions import evaluate


@pytest.mark.parametrize(
    ("expression", "made"),
    [
        ("a + b * 2", 11),
        ("max(5, round(a * 24)) + (5 - (max(5, round(a * 24)) % 17)) % 17", 73),
        ("a & -2", 2),
        ("a & ~1", 2),
        ("floor (a / 2)", 1),
        ("ceil(1.5 * log2(max(a, b))) + 2", 5),
        ("a % b if b > 0 else 0", 3),
        ("(a % 4 == 3) and ((b - 1) % 4 == 3)", True),
        ("a > 3 or b", 4),
        ("not a", False),
        ("1 < a < b", True),
        ("a ** b", 81),
        ("a << b | 1", 49),
        ("clamp(a, 5, 7) + sign(-b)", 4),
        ("2 * pi", 6.283185307179586),
        ("  a\n", 3),
    ],
)
def test_formulas(expression: str, made: float) -> None:
    assert evaluate(expression, {"a": 3, "b": 4}) == made


def test_bits_of_whole_floats() -> None:
    assert evaluate("a & -8", {"a": 1023.0}) == 1016
    with pytest.raises(UsageError, match="has a fraction"):
        evaluate("a & 1", {"a": 0.5})


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("a / 0", "division"),
        ("a +", "cannot be read"),
        ("", "cannot be read"),
        ("c", "no value 'c'"),
        ("__import__('os')", "may not stand"),
        ("a.real", "may not stand"),
        ("[a]", "may not stand"),
        ("(lambda: 1)()", "may not stand"),
        ("'x' * 9", "may not stand"),
        ("max(*[1])", "may not stand"),
        ("1j", "may not stand"),
        ("9**9**9", "too large"),
        ("1 << 99999999", "shift"),
        ("(-8) ** 0.5", "root of a negative"),
        ("10.0 ** 308 * 10", "it is inf"),
        ("a @ b", "not for numbers"),
        ("min()", "min"),
        ("-" * 3999 + "1", "no value"),
        ("1" * 5000, "longer than"),
    ],
)
def test_what_has_no_value(expression: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        evaluate(expression, {"a": 3, "b": 4})


@given(st.text("ab+-*/%()<>=!~&|^., 0129einf", max_size=30))
def test_anything_is_a_number_or_a_usage_error(expression: str) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(evaluate(expression, {"a": 3, "b": 4.5}), int | float)
