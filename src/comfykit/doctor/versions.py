"""Version numbers as far as the checks compare them: the release part, without local or pre-release tags."""

from __future__ import annotations

import re


def release(version: str) -> tuple[int, ...]:
    """The numbers of a version, without zeros at the end: "2.10.0+cu126" is (2, 10); () if it has none."""
    found = re.match(r"\d+(\.\d+)*", version.strip())
    numbers = [int(number) for number in found[0].split(".")] if found else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def at_least(version: str, minimum: str) -> bool:
    """Whether a version is a minimum or above."""
    return release(version) >= release(minimum)
