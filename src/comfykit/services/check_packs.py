"""What of a pack works here, what does not, and why: from its files, and by importing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from comfykit.home import Home
from comfykit.packs.environment import Environment
from comfykit.packs.index import remember
from comfykit.packs.installed import Pack, read_records
from comfykit.packs.probing import probe_pack
from comfykit.services.packs import look_at


@dataclass(frozen=True, slots=True)
class Checked:
    """A pack that was looked at and imported.

    `classes` were registered, `offered` are those that its files name, `broken` those that cannot be used,
    with the reason. `missing` are names of ComfyUI's interface that are not here and that it asked for while
    it was imported, `lacks` those that its functions use beyond that.
    `warnings` are what importing it brought to light beyond that, such as a library that is not whole.
    """

    pack: Pack
    classes: tuple[str, ...]
    offered: tuple[str, ...]
    cause: str | None = None
    hint: str | None = None
    missing: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    broken: Mapping[str, str] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def absent(self) -> tuple[str, ...]:
        """Classes that its files name, and that importing it did not give: it may mean that itself."""
        return tuple(name for name in self.offered if name not in self.classes and name not in self.broken)

    @property
    def is_good(self) -> bool:
        """Whether it could be imported."""
        return self.cause is None


def check_pack(pack: Pack, home: Home, environment: Environment | None = None) -> Checked:
    """Look at a pack and import it in a process of its own; its index entry is renewed by what that told."""
    found, wanted = look_at(pack)
    record = read_records(home).get(pack.name)
    scripts = record is not None and record.scripts
    told = probe_pack(pack.path, home.root, environment, thorough=True, run_scripts=scripts)
    if pack.enabled:
        remember(home, pack.name.removesuffix(".py"), told)
    return Checked(
        pack,
        told.classes,
        tuple(dict.fromkeys([*found.classes, *told.classes, *told.problems])),
        told.cause,
        told.hint or " / ".join(told.hints) or None,
        told.missing,
        tuple(name for name in told.lacks if name not in told.missing),
        told.problems,
        found.broken,
        wanted.problems,
        told.warnings,
    )
