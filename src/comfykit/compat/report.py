"""What works of a pack and what does not, and why: by reading its source and by importing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from comfykit.home import Home
from comfykit.packs.environment import Environment
from comfykit.packs.index import remember
from comfykit.packs.probing import probe_pack
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


def check_pack(
    path: Path, home: Home, *, python: Path | None = None, seconds: float | None = None
) -> PackReport:
    """Read a pack and import it in a process of its own; what came of it is kept in the index."""
    read = scan(path)
    environment = None if python is None else Environment(python)
    told = probe_pack(path, home.root, environment, seconds=seconds, thorough=True)
    name = path.name.removesuffix(".py")
    remember(home, name, told)
    return PackReport(
        name,
        read.classes,
        told.classes,
        told.problems,
        told.cause,
        told.hint,
        told.missing,
        told.lacks,
        told.blocked,
        read.broken,
        told.seconds,
    )
