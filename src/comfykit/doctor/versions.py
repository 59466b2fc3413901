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


def minor(version: str) -> str:
    """The first two numbers: "2.10.0+cu126" is "2.10", "2" is "2.0"; "" if it has none."""
    numbers = (*release(version), 0, 0)[:2]
    return f"{numbers[0]}.{numbers[1]}" if release(version) else ""


def within(version: str, span: str) -> bool:
    """Whether the first two numbers of a version lie in "2.7-2.10", both ends included."""
    low, _, high = span.partition("-")
    return release(low) <= release(minor(version)) <= release(high)


def local(version: str | None) -> str | None:
    """The local tag of a version, which names a build: "cu126" of "2.10.0+cu126"."""
    _, plus, tag = (version or "").partition("+")
    return tag if plus else None


def build_tag(version: str | None) -> str | None:
    """The local tag of a version where it names one of PyTorch's builds."""
    found = re.search(r"\+(cpu|xpu|cu\d+|rocm[\d.]+)$", version or "")
    return found[1] if found else None


def is_nightly(version: str) -> bool:
    """Whether a version is that of a build between releases, which no table knows."""
    return re.match(r"[\d.]+(\.dev|a|b|rc)\d", version) is not None
