"""Changes of packs as values: what becomes of each pack, and what that changes in the environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from comfykit.errors import PackError
from comfykit.packs.installed import Pack, Record
from comfykit.packs.lock import Lock
from comfykit.packs.malicious import known_package
from comfykit.packs.probing import Probe
from comfykit.packs.requirements import Wanted
from comfykit.packs.resolution import Change, Resolution
from comfykit.packs.staging import Staged
from comfykit.packs.uv_tool import Sources
from comfykit.services.pack_scripts import Script

# Whether packages may come from the places that packs name: (pack, address) each.
Allow: TypeAlias = Callable[[Sequence[tuple[str, str]]], bool]

USUAL_INDEXES = {"https://pypi.org/simple", "https://pypi.python.org/simple"}

ADD, REPLACE, REMOVE, ENABLE, DISABLE, THERE = "add", "replace", "remove", "enable", "disable", "there"


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of a pack. `before` is it as it is, `staged` what comes, `enabled` whether it is on then.

    `record` stands for one that is made from `staged`, where the pack comes from elsewhere than its source.
    """

    name: str
    action: str
    before: Pack | None = None
    staged: Staged | None = None
    enabled: bool = True
    record: Record | None = None
    note: str = ""

    @property
    def changes(self) -> bool:
        """Whether anything is done."""
        return self.action != THERE

    @property
    def brings(self) -> bool:
        """Whether a pack is on afterwards that was not, or not so."""
        return self.enabled and self.action in (ADD, REPLACE, ENABLE)


@dataclass(frozen=True, slots=True)
class Plan:
    """A change that could be carried out. `what` is a line for the list of snapshots.

    `wanted` is what packs that will be on ask for. `models` are files that go into the snapshot, `back` files
    that come out of one, with their places. With `lock` the home's lock stays, `lock_text` replaces it.
    Without `test_imports` packs are not imported: they were when the state that this goes to was made.
    """

    what: str
    steps: tuple[Step, ...]
    wanted: tuple[Wanted, ...] = ()
    resolution: Resolution | None = None
    scripts: tuple[Script, ...] = ()
    lock: Lock | None = None
    lock_text: str | None = None
    models: tuple[Path, ...] = ()
    back: tuple[tuple[Path, Path], ...] = ()
    test_imports: bool = True

    @property
    def changes(self) -> tuple[Change, ...]:
        """The Python packages that change."""
        return self.resolution.changes if self.resolution else ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (any(step.changes for step in self.steps) or self.changes or self.models or self.back)


@dataclass(frozen=True, slots=True)
class Done:
    """A change that was carried out; `snapshot` is its number."""

    plan: Plan
    snapshot: int
    imports: Mapping[str, Probe] = field(default_factory=dict)


def named_indexes(wanted: Sequence[Wanted]) -> tuple[tuple[str, str], ...]:
    """Places of packages that packs name besides the usual one: pack and address."""
    found = ((pack.pack, place) for pack in wanted for place in (*pack.indexes, *pack.find_links))
    return tuple(dict.fromkeys(pair for pair in found if pair[1].rstrip("/") not in USUAL_INDEXES))


def sources_for(wanted: Sequence[Wanted], allow: Allow) -> Sources:
    """The usual places, and those that packs name where that is allowed."""
    named = named_indexes(wanted)
    if not (named and allow(named)):
        return Sources()
    allowed = {place for _, place in named}
    indexes = dict.fromkeys(place for pack in wanted for place in pack.indexes if place in allowed)
    links = dict.fromkeys(place for pack in wanted for place in pack.find_links if place in allowed)
    return Sources(indexes=tuple(indexes), find_links=tuple(links))


def refuse_harm(resolution: Resolution) -> None:
    """Raise `PackError` for a release of a package that is known to have done harm."""
    for change in resolution.changes:
        harm = known_package(change.name, change.after) if change.after else None
        if harm is not None:
            raise PackError(
                f"{change.name} {change.after}, which {' and '.join(change.wanted_by) or 'a pack'} needs, is "
                f"refused: it {harm.what}",
                hint=f"read {harm.sources[0]}",
            )


def disagreement(resolution: Resolution) -> PackError:
    """The error for what packs disagree about."""
    return PackError(
        "; ".join(conflict.message for conflict in resolution.conflicts) + "; nothing was changed",
        hint="; ".join(conflict.suggestion for conflict in resolution.conflicts if conflict.suggestion)
        or None,
    )
