"""What lies already where a file belongs, and whether it is the file."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.formats import judge_file
from comfykit.fetch.index import HashIndex
from comfykit.fetch.paths import check_place
from comfykit.home import Home


class State(Enum):
    """What a look at the disk says about an entry."""

    MISSING = "missing"  # nothing there: fetch it
    BROKEN = "broken"  # something there that cannot be a model, an empty file or a page: fetch it again
    THERE = "there"  # the file, or one that passes for it
    CONFLICT = "conflict"  # something there that may be wanted: a person must decide


@dataclass(frozen=True, slots=True)
class Presence:
    """What lies at a place; `note` is a sentence for a person, `size` in bytes."""

    state: State
    path: Path
    note: str = ""
    hint: str | None = None
    size: int = 0


def inspect(entry: ManifestEntry, home: Home, index: HashIndex | None = None) -> Presence:
    """What lies at an entry's target, or under its name in another of the user's folders of its kind.

    The models inside the package are not the user's: one of the same name does not stand in for the
    file. Files with a known checksum are hashed, unless the index knows them from before. Raises
    `FetchError` for a target that leads out of the home.
    """
    path = check_place(home, entry.target)
    index = HashIndex() if index is None else index
    own = _look(path, entry, index)
    if own.state is not State.MISSING:
        return own
    for folder in home.own_folders(entry.kind):
        other = folder / entry.name
        if other != path and other.is_file():
            found = _look(other, entry, index)
            if found.state is State.THERE:
                return found
    return own


def _look(path: Path, entry: ManifestEntry, index: HashIndex) -> Presence:
    try:
        link = stat.S_ISLNK(path.lstat().st_mode)
        if path.is_file():
            return _judge(path, entry, link, index)
    except (FileNotFoundError, NotADirectoryError):
        return Presence(State.MISSING, path)
    except OSError as error:
        return Presence(State.CONFLICT, path, f"{path} cannot be read ({error.strerror})", "make it readable")
    what = "a link that leads to no file" if link else "not a file"
    return Presence(State.CONFLICT, path, f"{path} is {what}", "move it away")


def _judge(path: Path, entry: ManifestEntry, link: bool, index: HashIndex) -> Presence:
    """Judge a file by its hash where the manifest has one, else by what its format allows."""
    size = path.stat().st_size
    actual = index.sha256(path) if entry.sha256 else None
    if actual and actual == entry.sha256:
        return Presence(State.THERE, path, "there, verified", size=size)
    wrong = judge_file(path, entry.target.name)
    if wrong and link:
        return Presence(State.CONFLICT, path, f"{path} is a link, and {wrong}", "remove the link", size)
    if wrong:
        return Presence(State.BROKEN, path, f"{path}: {wrong}", size=size)
    if actual is None:
        return Presence(State.THERE, path, "there, not verified (the manifest has no checksum)", size=size)
    return Presence(
        State.CONFLICT,
        path,
        f"{path} has sha-256 {actual}, and {entry.place} asks for {entry.sha256}",
        "remove the file to fetch it again, or correct the checksum in the manifest",
        size,
    )
