"""Changing packs so that every change can be undone, also after the process was killed.

An area is a folder inside `custom_nodes/`, on its file system wherever that is mounted: new packs are
prepared in it and exchanged with the old ones by a rename. Each change is written to the area's journal
before it is made. The end of `open_area` keeps the changes or, after an exception, takes them back;
`recover` takes back those of processes that ended without either. ComfyUI loads no folder that is called
`.disabled`, so that it never takes an area for a pack.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from comfykit.errors import PackError

_PREFIX, _SUFFIX = ".comfykit-", ".disabled"
_LOCK, _JOURNAL, _DONE = ".lock", ".journal", ".done"
_FRESH_SECONDS = 60.0
_AT_FDCWD, _EXCHANGE = -100, 2
_NO_EXCHANGE = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM})


@dataclass(frozen=True, slots=True)
class Published:
    """A change of one place: `new` is what was put there (None: nothing), `aside` where the old one may be.

    `number` is the new one's inode, by which it is known wherever it lies.
    """

    place: Path
    new: Path | None
    aside: Path
    number: int | None

    @property
    def old(self) -> Path | None:
        """Where what was there before lies now; None where nothing was."""
        if self.new is not None and os.path.lexists(self.new) and _number(self.new) != self.number:
            return self.new
        return self.aside if os.path.lexists(self.aside) else None

    def undo(self) -> None:
        """Make it as if nothing had happened; the new one lies in the area again. May be called twice."""
        if self.new is not None and _number(self.place) == self.number:
            if os.path.lexists(self.new):
                _exchange(self.new, self.place, self.aside)
                return
            self.place.rename(self.new)
        if os.path.lexists(self.aside) and not os.path.lexists(self.place):
            self.aside.rename(self.place)


@contextmanager
def open_area(custom_nodes: Path) -> Iterator[Path]:
    """A folder to prepare packs in; what is published from it stays unless the block raises."""
    custom_nodes.mkdir(parents=True, exist_ok=True)
    area, lock = _claim(custom_nodes)
    try:
        yield area
        (area / _DONE).touch()
    except BaseException:
        _take_back(area, custom_nodes)
        raise
    finally:
        shutil.rmtree(area, ignore_errors=True)
        lock.close()


def exchange(new: Path, place: Path) -> Published:
    """Put `new`, which lies in an area, to its place, and what was there aside."""
    change = Published(place, new, new.with_name(f".old-{place.name}"), _number(new))
    _note(change)
    if os.path.lexists(place):
        _exchange(new, place, change.aside)
    else:
        new.rename(place)
    return change


def set_aside(place: Path, area: Path) -> Published:
    """Take what lies at a place into the area: the removal of a pack."""
    change = Published(place, None, area / f".old-{place.name}", None)
    _note(change)
    place.rename(change.aside)
    return change


def recover(custom_nodes: Path) -> list[str]:
    """Undo what processes left behind that were killed; the names of the packs that were put back."""
    found = []
    for area in sorted(custom_nodes.glob(f"{_PREFIX}*{_SUFFIX}")):
        lock = _lock(area)
        if lock is None:
            continue
        with lock:
            if not (area / _DONE).exists():
                found += _take_back(area, custom_nodes)
            shutil.rmtree(area, ignore_errors=True)
    return found


def _claim(custom_nodes: Path) -> tuple[Path, BinaryIO]:
    while True:
        area = Path(tempfile.mkdtemp(prefix=_PREFIX, suffix=_SUFFIX, dir=custom_nodes))
        (area / _LOCK).touch()
        lock = _lock(area)
        if lock is not None:
            return area, lock


def _lock(area: Path) -> BinaryIO | None:
    """The lock of an area whose process has ended; None where it lives, or has only just begun."""
    try:
        file = (area / _LOCK).open("r+b")
    except FileNotFoundError:
        with suppress(FileNotFoundError):
            if time.time() - area.stat().st_mtime > _FRESH_SECONDS:
                (area / _LOCK).touch()
                return _lock(area)
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file.fileno()), (area / _LOCK).stat()):
            return file
    except (BlockingIOError, FileNotFoundError):
        pass
    file.close()
    return None


def _note(change: Published) -> None:
    """Write a change down before it is made."""
    record = {
        "place": change.place.name,
        "new": change.new.name if change.new else None,
        "aside": change.aside.name,
        "number": change.number,
    }
    with (change.aside.parent / _JOURNAL).open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _take_back(area: Path, custom_nodes: Path) -> list[str]:
    """Undo the changes of an area, the last one first; the names of their places."""
    try:
        lines = (area / _JOURNAL).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    names = []
    for line in reversed(lines):
        try:
            record = json.loads(line)
        except ValueError:  # the last line, if the process was killed while it wrote it: not made yet
            continue
        new = area / record["new"] if record["new"] else None
        change = Published(custom_nodes / record["place"], new, area / record["aside"], record["number"])
        change.undo()
        names.append(record["place"])
    return names[::-1]


def _exchange(new: Path, place: Path, aside: Path) -> None:
    """Let two entries change places: at once where the system can, else with a moment in between."""
    if _renameat2(new, place):
        return
    place.rename(aside)
    new.rename(place)


def _renameat2(one: Path, other: Path) -> bool:
    """Linux's exchange of two names; False where this system or file system has none."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise PackError(f"{other} cannot be replaced ({os.strerror(number)})", hint="look at its permissions")


def _number(path: Path) -> int | None:
    """Inode of an entry, of a link itself; None where there is none."""
    try:
        return path.lstat().st_ino
    except FileNotFoundError:
        return None
