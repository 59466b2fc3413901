"""The weights files that lie in the model folders: whether their headers parse, and what was left half."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from comfykit.errors import ModelFileError
from comfykit.home import Home, files_below
from comfykit.weights.header import read_header

# A header is read in a millisecond from a local disk; a collection on a slow one must not hold the doctor up.
SECONDS = 5.0
STALE_SECONDS = 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class Broken:
    """A weights file whose header does not parse, and what is wrong with it.

    `opened` is False where the disk would not give its bytes, which may be sound.
    """

    path: Path
    problem: str
    opened: bool = True


@dataclass(frozen=True, slots=True)
class Leftover:
    """A partial download that nobody has touched for a day; `size` in bytes."""

    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class Models:
    """What lies in the model folders.

    `read` counts the safetensors files whose header was read, `unread` those that time did not allow.
    """

    read: int = 0
    unread: int = 0
    broken: tuple[Broken, ...] = ()
    leftovers: tuple[Leftover, ...] = ()


def look(home: Home, seconds: float = SECONDS) -> Models:
    """Read the headers of a home's models, in the folders of `extra_model_paths.yaml` too.

    The package's own models are not counted: nobody can mend them but by installing it again.
    """
    deadline = time.monotonic() + seconds
    read = unread = 0
    broken: list[Broken] = []
    leftovers: list[Leftover] = []
    for path in _files(home):
        if path.suffix.lower() == ".part":
            leftovers.extend(_stale(path))
        elif path.suffix.lower() in {".safetensors", ".sft"}:
            if time.monotonic() > deadline:
                unread += 1
                continue
            read += 1
            broken.extend(_broken(path))
    return Models(read, unread, tuple(broken), tuple(leftovers))


def _files(home: Home) -> Iterator[Path]:
    """Every file in a model folder, once, however many folders lead to it."""
    extra = [place for kind, places in home.extra.items() if kind != "custom_nodes" for place in places]
    seen: set[Path] = set()
    for folder in (home.models, *extra):
        for path in files_below(folder):
            real = path.resolve()
            if real not in seen:
                seen.add(real)
                yield path


def _broken(path: Path) -> Iterator[Broken]:
    try:
        read_header(path)
    except ModelFileError as error:
        yield Broken(path, str(error), opened=not isinstance(error.__cause__, OSError))
    except OSError as error:
        yield Broken(path, f"{path}: {error.strerror}", opened=False)


def _stale(path: Path) -> Iterator[Leftover]:
    try:
        found = path.stat()
    except OSError:  # its download has just come to an end, or it is not ours to look at
        return
    if time.time() - found.st_mtime > STALE_SECONDS:
        yield Leftover(path, found.st_size)
