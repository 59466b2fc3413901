"""What transfers left behind in a home and nobody needs any more."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from comfykit.fetch.index import HashIndex
from comfykit.fetch.provenance import forget_provenance, provenances
from comfykit.home import Home, files_below

_LEFT = re.compile(
    r"\.(?P<name>.+)\."
    r"(?P<what>part(\.json(\.new)?|\.next|\.aria2(__temp)?)?|rejected(\.txt)?|[0-9a-f]{8}\.copy)"
)


@dataclass(frozen=True, slots=True)
class Leftover:
    """A file beside the models; `what` says what it is, `size` the bytes of the disk that it takes.

    `busy` is whether another process is writing to it now: then it stays.
    """

    path: Path
    what: str
    size: int
    busy: bool


def leftovers(home: Home) -> list[Leftover]:
    """Partial files with their journals, rejected files with their reasons, copies that were cut off."""
    found = []
    for path in files_below(home.models):
        match = _LEFT.fullmatch(path.name)
        if match is None or path.is_symlink():
            continue
        partial = path.with_name(f".{match['name']}.part")
        with suppress(OSError):
            size = path.stat().st_blocks * 512
            found.append(Leftover(path, _kind(match["what"]), size, _is_held(partial)))
    return found


def prune(home: Home, found: Sequence[Leftover], index: HashIndex) -> int:
    """Delete leftovers that are not busy, and what is kept of files that are gone; bytes that are freed."""
    freed = 0
    for leftover in found:
        match = _LEFT.fullmatch(leftover.path.name)
        if match is None:
            continue
        with _held(leftover.path.with_name(f".{match['name']}.part")) as mine:
            if mine:
                leftover.path.unlink(missing_ok=True)
                freed += leftover.size
    with suppress(OSError):  # a home that is not ours to write: the index is only a cache
        index.forget_missing()
    gone = {target for target in provenances(home) if not (home.models / target).exists()}
    forget_provenance(home, targets=gone)
    return freed


def _kind(what: str) -> str:
    if what.startswith("rejected"):
        return "rejected"
    return "copy" if what.endswith(".copy") else "partial"


def _is_held(partial: Path) -> bool:
    with _held(partial) as mine:
        return not mine


@contextmanager
def _held(partial: Path) -> Iterator[bool]:
    """Hold a partial file's lock while its companions go; False where another process has it.

    A partial that is not there is nobody's.
    """
    try:
        descriptor = os.open(partial, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        yield not partial.exists()
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)
