"""The other libraries that comfykit needs are there and recent enough."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding, Status
from comfykit.doctor.requirements import LIBRARIES
from comfykit.doctor.versions import at_least

# Those whose version matters to pictures have a line of their own.
SHOWN = ("transformers", "safetensors")


def check(facts: Facts) -> Iterator[Finding]:
    """Judge each distribution; the quiet ones share a line as long as all is well."""
    problems = {name: _problem(name, facts.packages.get(name)) for name in LIBRARIES}
    for name, minimum in LIBRARIES.items():
        if problem := problems[name]:
            yield Finding(name, Status.FAILURE, problem, f"pip install --upgrade '{name}>={minimum}'")
        elif name in SHOWN:
            yield Finding(name, Status.OK, str(facts.packages[name]))
    quiet = [
        f"{name} {facts.packages[name]}" for name in LIBRARIES if name not in SHOWN and not problems[name]
    ]
    if quiet:
        yield Finding("packages", Status.OK, ", ".join(quiet))


def _problem(name: str, version: str | None) -> str | None:
    if version is None:
        return "not installed"
    if not at_least(version, LIBRARIES[name]):
        return f"{version} is too old: comfykit needs {LIBRARIES[name]}"
    return None
