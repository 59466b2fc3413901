"""What works of a pack and what does not, and why: by reading its source and by importing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comfykit.packs.scan import scan


@dataclass(frozen=True, slots=True)
class PackReport:
    """`named` are the classes that the source names, `classes` those that importing gave.

    `problems` has classes that cannot be used, with the reason; `failure` is why the pack as a whole cannot.
    `missing` are parts of ComfyUI's interface that were asked for while it was imported and are not here;
    `lacks` those that its source names beyond that, which concern what runs later. `blocked` are commands
    to install packages, which were refused; `broken` files that are no Python for this interpreter.
    """

    pack: str
    named: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)
    failure: str | None = None
    hint: str | None = None
    missing: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def works(self) -> bool:
        """Whether it was imported and all its classes can be used."""
        return self.failure is None and not self.problems

    @property
    def not_registered(self) -> tuple[str, ...]:
        """Classes that the source names and importing did not give."""
        return tuple(name for name in self.named if name not in self.classes and name not in self.problems)


def report_of(path: Path, told: Mapping[str, Any]) -> PackReport:
    """A pack from the answer of `comfykit.compat.probe`; where that does not say, its source is read."""
    if "named" not in told:
        read = scan(path)
        told = {**told, "named": read.classes, "broken": read.broken}
    failure: Mapping[str, Any] = told.get("failure") or {}
    return PackReport(
        path.name.removesuffix(".py"),
        tuple(told["named"]),
        tuple(told["classes"]),
        dict(told["problems"]),
        failure.get("cause"),
        failure.get("hint"),
        tuple(told.get("missing", ())),
        tuple(told.get("lacks", ())),
        tuple(told.get("blocked", ())),
        tuple(told["broken"]),
        float(told.get("seconds", 0.0)),
    )
