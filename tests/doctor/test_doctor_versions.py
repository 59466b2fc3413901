from __future__ import annotations

import pytest

from comfykit.doctor.versions import at_least, release


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        ("2.13.0+cpu", (2, 13)),
        ("2.10.0a0+git123", (2, 10)),
        ("3.1.50", (3, 1, 50)),
        ("6", (6,)),
        ("0.0", ()),
        ("of unknown version", ()),
    ],
)
def test_release(version: str, numbers: tuple[int, ...]) -> None:
    assert release(version) == numbers


@pytest.mark.parametrize(
    ("version", "minimum", "enough"),
    [
        ("2.10", "2.10.0", True),
        ("2.10.0", "2.10", True),
        ("2.9.9", "2.10", False),
        ("10.0", "9.1", True),
        ("?", "1", False),
    ],
)
def test_at_least(version: str, minimum: str, enough: bool) -> None:
    assert at_least(version, minimum) is enough
