"""The partial file beside a target, its journal, and the lock on both.

Bytes go to `.NAME.part`, which becomes NAME by a rename once they are verified; `.NAME.part.json` says
which of them are there. The partial file is its own lock: whoever holds it may write, and a second
process waits until the first has renamed, removed or left it. A process that is killed leaves both
files without a lock, and the next one goes on from them.
"""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from comfykit.errors import FetchError, Interrupted
from comfykit.fetch.journal import Journal, beside

_POLL_SECONDS = 0.2


class Partial:
    """A partial file that this process alone may write."""

    def __init__(self, path: Path, target: Path, file: BinaryIO) -> None:
        self.path = path
        self.target = target
        self.file = file
        self.journal = Journal(beside(path))

    @property
    def fileno(self) -> int:
        """The descriptor, for `os.pwrite`."""
        return self.file.fileno()

    def restart(self) -> None:
        """Throw away what was written."""
        self.journal.remove()
        self.file.seek(0)
        self.file.truncate(0)

    def sync(self) -> None:
        """Have the bytes on the disk, so that a rename can never be there before them."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def publish(self) -> None:
        """Give the file its final name; nobody ever sees it half written."""
        self.path.replace(self.target)
        _sync_folder(self.target.parent)
        self.journal.remove()

    def reject(self, reason: str) -> Path:
        """Put a complete but wrong file aside as `.NAME.rejected`, the reason in `.NAME.rejected.txt`.

        There is one such file for a target, the last. The partial file starts anew.
        """
        aside = self.target.with_name(f".{self.target.name}.rejected")
        aside.unlink(missing_ok=True)
        fresh = self.path.with_name(f"{self.path.name}.next")
        file = _open_locked(fresh)
        if file is None:
            raise FetchError(f"{fresh} is held by another process", hint="run again when it has ended")
        # The partial's name never goes away, so that nobody can take the lock in between.
        try:
            os.link(self.path, aside)
        except OSError:  # a file system without links: the wrong bytes are lost, their reason is not
            aside.touch()
        fresh.replace(self.path)
        self.file.close()
        self.file = file
        self.journal.remove()
        words = aside.with_name(f"{aside.name}.txt")
        words.unlink(missing_ok=True)
        words.write_text(f"{reason}\n", encoding="utf-8")
        return aside


@contextmanager
def claim(target: Path, cancel: threading.Event, on_wait: Callable[[], None]) -> Iterator[Partial]:
    """Hold the partial file of a target.

    At the end of the block it stays where its journal says that it is worth going on from, and is
    removed else. `on_wait` is called once when another process holds it. Raises `Interrupted` when
    `cancel` is set while waiting.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    path = target.with_name(f".{target.name}.part")
    file = _open_locked(path)
    if file is None:
        on_wait()
    while file is None:
        if cancel.wait(_POLL_SECONDS):
            raise Interrupted("interrupted")
        file = _open_locked(path)
    partial = Partial(path, target, file)
    try:
        yield partial
    finally:
        _leave(partial)


def _leave(partial: Partial) -> None:
    """Keep the partial file with its journal, or remove both, and give the lock back."""
    with suppress(FileNotFoundError):  # published
        mine = os.path.samestat(partial.path.lstat(), os.fstat(partial.fileno))
        if mine and not partial.journal.path.exists():
            partial.path.unlink()
    partial.file.close()


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _open_locked(path: Path) -> BinaryIO | None:
    """The partial file with the lock on it; None where another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    file = os.fdopen(descriptor, "r+b")
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FetchError(f"{path} is not a file", hint="move it away", path=str(path))
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its last owner may have renamed or removed the file between our open and our lock.
        if os.path.samestat(path.lstat(), os.fstat(descriptor)):
            return file
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        file.close()
        raise
    file.close()
    return None
