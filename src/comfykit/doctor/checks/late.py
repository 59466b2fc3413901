"""Every look came to an end."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.catalogue import finding
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding


def check(facts: Facts) -> Iterator[Finding]:
    """Name the looks that took too long."""
    if facts.late:
        yield finding("CK001", f"no answer in time about: {', '.join(facts.late)}")
