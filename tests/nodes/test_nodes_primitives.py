from __future__ import annotations

import pytest

from comfykit.errors import UsageError
from comfykit.nodes.primitives import (
    custom_combo,
    number_convert,
    primitive_boolean,
    primitive_float,
    primitive_int,
    primitive_string,
    primitive_string_multiline,
    seed_node,
)


def test_values_pass() -> None:
    assert primitive_int(2**62) == seed_node(2**62) == 2**62
    assert primitive_float(0.1) == 0.1
    assert primitive_boolean(True) is True
    assert primitive_string("狐") == primitive_string_multiline("狐") == "狐"
    assert custom_combo("Turbo", 2) == ("Turbo", 2)


@pytest.mark.parametrize(
    ("value", "made"),
    [
        (3, (3.0, 3)),
        (-2.7, (-2.7, -2)),
        (True, (1.0, 1)),
        (" 12 ", (12.0, 12)),
        ("1e3", (1000.0, 1000)),
        (str(2**60 + 1), (float(2**60), 2**60 + 1)),
    ],
)
def test_numbers(value: object, made: tuple[float, int]) -> None:
    assert number_convert(value) == made


@pytest.mark.parametrize("value", ["", "fox", "nan", float("inf"), None])
def test_what_is_no_number(value: object) -> None:
    with pytest.raises(UsageError, match="number"):
        number_convert(value)
