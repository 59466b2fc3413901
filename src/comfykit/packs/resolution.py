"""What a resolution found, as values: what would change, what packs disagree about, what was not followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from comfykit.packs.uv_tool import Sources


@dataclass(frozen=True, slots=True)
class Change:
    """A package that would be added (`before` is None), removed (`after` is None) or changed.

    Both are versions, or addresses. `wanted_by` names packs, none where a package is only in the way.
    """

    name: str
    before: str | None
    after: str | None
    wanted_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Overruled:
    """What a pack wants of the core and does not get: `kept` is the version that stays."""

    pack: str
    requirement: str
    where: str
    name: str
    kept: str

    def __str__(self) -> str:
        return f"{self.where} wants {self.requirement}; {self.name} stays {self.kept}"


@dataclass(frozen=True, slots=True)
class Conflict:
    """Why packs cannot be installed, in words.

    `about` is the package that they disagree about, "" where it is not known. `suggestion` was tried.
    `detail` is uv's own account, with the names of packs in it.
    """

    packs: tuple[str, ...]
    about: str
    message: str
    suggestion: str = ""
    detail: str = ""

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Resolution:
    """What all packs together need.

    `pins` are lines of a requirements file, with hashes, for what is added or changed. `before` is what was
    installed when it was made. `sources` are those that the pins were found in.
    """

    changes: tuple[Change, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    notes: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    overruled: tuple[Overruled, ...] = ()
    before: Mapping[str, str] = field(default_factory=dict)
    sources: Sources = field(default_factory=Sources)

    @property
    def removed(self) -> tuple[str, ...]:
        """Names of the packages that it removes."""
        return tuple(change.name for change in self.changes if change.after is None)

    def after(self) -> dict[str, str]:
        """What is installed once it has been applied."""
        result = dict(self.before)
        for change in self.changes:
            if change.after is None:
                result.pop(change.name, None)
            else:
                result[change.name] = change.after
        return dict(sorted(result.items()))
