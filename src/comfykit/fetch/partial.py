"""The partial file beside a target, and the lock on it.

Bytes go to `.NAME.part`, which becomes NAME by a rename once they are verified. The file is its own
lock: whoever holds it may write, and a second process waits until the first has renamed or removed
it. A process that is killed leaves the partial file without a lock, and the next one takes it over.
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

_POLL_SECONDS = 0.2


class Partial:
    """A partial file that this process alone may write."""

    def __init__(self, path: Path, target: Path, file: BinaryIO) -> None:
        self.path = path
        self.target = target
        self.file = file

    def restart(self) -> None:
        """Throw away what was written."""
        self.file.seek(0)
        self.file.truncate(0)

    def sync(self) -> None:
        """Have the bytes on the disk, so that a rename can never be there before them."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def publish(self) -> None:
        """Give the file its final name; nobody ever sees it half written."""
        self.path.replace(self.target)
        folder = os.open(self.target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def claim(target: Path, cancel: threading.Event, on_wait: Callable[[], None]) -> Iterator[Partial]:
    """Hold the partial file of a target; what was not published is removed at the end of the block.

    `on_wait` is called once when another process holds it. Raises `Interrupted` when `cancel` is set
    while waiting.
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
        with suppress(FileNotFoundError):  # published
            if os.path.samestat(path.lstat(), os.fstat(file.fileno())):
                path.unlink()
        file.close()


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
