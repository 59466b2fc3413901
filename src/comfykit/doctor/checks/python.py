"""The interpreter is recent enough."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding, Status
from comfykit.doctor.requirements import PYTHON
from comfykit.doctor.versions import at_least


def check(facts: Facts) -> Iterator[Finding]:
    """Judge the interpreter."""
    python = facts.python
    if at_least(python.version, PYTHON):
        yield Finding("python", Status.OK, f"{python.version} ({python.executable})")
    else:
        yield Finding(
            "python",
            Status.FAILURE,
            f"{python.version} ({python.executable}) is too old: comfykit needs {PYTHON}",
            "make a virtual environment with a newer Python and install comfykit there",
        )
