"""Has containers that share a home bring it up to date one after the other."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

from comfykit.events import Reporter, Warned
from comfykit.fetch.state_file import FOLDER

_NAME = "start.lock"
_MAX_BYTES = 256


class HomeLock:
    """A lock on a home. Its descriptor is handed to what works under it, so that it ends with the last.

    Where a home cannot be locked (a network disk without locks, a folder of somebody else), this is said
    once, and work goes on without.
    """

    def __init__(self, home: Path, reporter: Reporter) -> None:
        self._home = home
        self._reporter = reporter
        self._descriptor: int | None = None
        self._usable = True
        self._has_told = False

    @property
    def held(self) -> tuple[int, ...]:
        """The descriptor that holds the lock, as something that can be handed on."""
        return () if self._descriptor is None else (self._descriptor,)

    def take(self) -> bool:
        """Whether work may begin; who has the lock is said once."""
        if not self._usable or self._descriptor is not None:
            return True
        try:
            descriptor = self._open()
        except OSError as error:
            self._give_up(error)
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._wait_for(os.pread(descriptor, _MAX_BYTES, 0).decode("utf-8", "replace").strip())
            os.close(descriptor)
            return False
        except OSError as error:
            os.close(descriptor)
            self._give_up(error)
            return True
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{socket.gethostname()}\n".encode(), 0)
        self._descriptor, self._has_told = descriptor, False
        return True

    def release(self) -> None:
        """Let others work."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        folder = self._home / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)

    def _wait_for(self, holder: str) -> None:
        if not self._has_told:
            self._has_told = True
            who = f"another container ({holder})" if holder else "another container"
            self._reporter(Warned(f"{who} brings {self._home} up to date; waiting for it"))

    def _give_up(self, error: OSError) -> None:
        self._usable = False
        hint = "let one container at a time use it"
        if isinstance(error, PermissionError):
            hint = (
                f"it has to belong to user {os.getuid()}: run 'chown -R {os.getuid()}' on it, "
                "or start the container with the --user that owns it"
            )
        self._reporter(Warned(f"{self._home} cannot be locked: {error.strerror}", hint))
