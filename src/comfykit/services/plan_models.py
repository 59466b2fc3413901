"""What has to be done for manifests: what is there, what lies elsewhere on the machine, what is fetched."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import BinaryIO

from comfykit.errors import FetchError, UsageError
from comfykit.events import Reporter, Warned, silent
from comfykit.fetch.copies import Copy, find_copy
from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.guide import Guide
from comfykit.fetch.hf_cache import HfCache
from comfykit.fetch.index import HashIndex, open_index
from comfykit.fetch.manifest import read_manifests
from comfykit.fetch.presence import Presence, State, inspect
from comfykit.fetch.source import Source
from comfykit.fetch.space import Space, spaces
from comfykit.fetch.threads import in_thread
from comfykit.home import Home

# Sizes of more files than this are not asked for: the answers would take as long as some of the files.
MOST_QUESTIONS = 64
# With so much free for each file, whatever it is, nobody needs its size beforehand.
AMPLE_BYTES = 16 * 1024**3
_QUESTIONS_AT_ONCE = 16
_ANSWER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Step:
    """One file of a plan: what the manifest asks for, what is there, and where it would come from.

    `copy` is a file elsewhere on this machine with the same bytes; `size` in bytes, None while unknown.
    """

    entry: ManifestEntry
    presence: Presence
    sources: tuple[Source, ...]
    copy: Copy | None = None
    size: int | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where the file would be asked for, without secrets."""
        return tuple(source.shown for source in self.sources)


def is_missing(step: Step) -> bool:
    """Whether a file has to be brought to its place."""
    return step.presence.state in (State.MISSING, State.BROKEN)


def action(step: Step) -> str:
    """What a plan does: `fetch` a file, `link` it, find it `there`, or `conflict` with what lies there."""
    if is_missing(step):
        return "fetch" if step.copy is None else "link"
    return step.presence.state.value


def plan_models(
    home: Home,
    manifests: Sequence[str],
    *,
    only: Sequence[str] = (),
    guide: Guide | None = None,
    stdin: BinaryIO | None = None,
    reporter: Reporter = silent,
    index: HashIndex | None = None,
    cache: HfCache | None = None,
) -> list[Step]:
    """What would be done for these manifests; nobody is asked, and no model is written.

    Files with a checksum are hashed, unless `index` (the home's) knows them. `cache` is the Hugging
    Face cache to look into, `guide` says where files are asked for. `stdin` is read for the manifest `-`.
    Raises `ManifestError` for manifests that cannot be used, `UsageError` for an `only` that matches
    nothing, and `FetchError` when a folder of the home leads out of it.
    """
    listing = read_manifests(manifests, stdin or io.BytesIO())
    for warning in listing.warnings:
        reporter(Warned(str(warning), warning.hint))
    index = open_index(home) if index is None else index
    guide = Guide() if guide is None else guide
    steps: list[Step] = []
    refused: list[FetchError] = []
    for entry in _selected(listing.entries, only):
        try:
            presence = inspect(entry, home, index)
        except FetchError as error:
            refused.append(error)
            continue
        if presence.state is State.BROKEN:
            reporter(Warned(f"{presence.note}; it is fetched again"))
        step = Step(entry, presence, tuple(guide.sources(entry)), size=entry.size)
        steps.append(_with_copy(step, home, index, cache) if is_missing(step) else step)
    index.save()
    if refused:
        raise FetchError("\n".join(dict.fromkeys(map(str, refused))), hint=refused[0].hint)
    return steps


def with_sizes(steps: Sequence[Step], ask: Callable[[Step], int | None]) -> list[Step]:
    """The plan with the sizes that `ask` finds out; what it cannot say within seconds stays unknown."""
    unknown = [index for index, step in enumerate(steps) if _is_unknown(step)][:MOST_QUESTIONS]
    sizes: dict[int, int] = {}
    queue = iter(unknown)  # for all threads; one that two of them take is only asked for twice

    def work() -> None:
        for index in queue:
            size = ask(steps[index])
            if size is not None:
                sizes[index] = size

    wait([in_thread(work) for _ in unknown[:_QUESTIONS_AT_ONCE]], timeout=_ANSWER_SECONDS)
    answers = dict(sizes)
    return [replace(step, size=answers.get(index, step.size)) for index, step in enumerate(steps)]


def worth_asking(steps: Sequence[Step]) -> bool:
    """Whether sizes that are not known matter to somebody who reads no plan: where disks may be too small."""
    if sum(map(_is_unknown, steps)) > MOST_QUESTIONS:
        return False
    return any(space.unknown * AMPLE_BYTES > space.free - space.needed for space in space_for(steps))


def space_for(steps: Sequence[Step]) -> list[Space]:
    """What the files that are to be fetched need on each file system."""
    return spaces((step.presence.path, step.size) for step in steps if action(step) == "fetch")


def check_space(steps: Sequence[Step]) -> None:
    """Raise `FetchError` where it is known that the files will not fit."""
    for space in space_for(steps):
        if space.is_short:
            at_least = "at least " if space.unknown else ""
            raise FetchError(
                f"{space.files} files of {at_least}{space.needed} bytes go to {space.folder}, "
                f"where {space.free} bytes are free",
                hint="make room, take fewer of them with --only, or give --home a folder on a larger disk",
                needed=space.needed,
                free=space.free,
            )


def _is_unknown(step: Step) -> bool:
    return step.size is None and action(step) == "fetch"


def _with_copy(step: Step, home: Home, index: HashIndex, cache: HfCache | None) -> Step:
    """The step with a file elsewhere on this machine, where there is one. A link is never replaced."""
    copy = find_copy(step.entry, home, index, cache)
    return step if copy is None else replace(step, copy=copy, size=copy.size)


def _selected(entries: Sequence[ManifestEntry], only: Sequence[str]) -> list[ManifestEntry]:
    """Entries that one of the globs matches, or all without globs."""
    matching = {glob: [entry for entry in entries if _matches(entry, glob)] for glob in only}
    for glob, found in matching.items():
        if not found:
            raise UsageError(
                f"--only {glob!r} matches none of the {len(entries)} entries",
                hint="it is compared with models/KIND/NAME, KIND/NAME and the file name; "
                "--dry-run lists them",
            )
    if not only:
        return list(entries)
    return [entry for entry in entries if any(entry in found for found in matching.values())]


def _matches(entry: ManifestEntry, glob: str) -> bool:
    names = (entry.path, str(entry.target), entry.name, entry.target.name)
    return glob in names or any(fnmatchcase(name, glob) for name in names)
