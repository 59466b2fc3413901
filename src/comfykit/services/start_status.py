"""Says to a health check how far `comfykit start` has come, in a file of this container."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType

BRINGING, UP = "bringing", "up"


def status_path() -> Path:
    """Where the status of this user's container lies."""
    return Path(tempfile.gettempdir()) / f"comfykit-start-{os.getuid()}.json"


class Status:
    """The status of this process, taken away when it ends."""

    def __enter__(self) -> Status:
        self.write(BRINGING)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            status_path().unlink(missing_ok=True)

    def write(self, phase: str) -> None:
        """Say how far the start has come, where there is a place to say it."""
        with suppress(OSError):
            path = status_path()
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({"process": os.getpid(), "phase": phase}, file)
            Path(name).replace(path)


def is_up() -> bool:
    """Whether a start in this container has come to its command, and still runs."""
    try:
        status = json.loads(status_path().read_bytes())
        os.kill(status["process"], 0)
    except (OSError, ValueError, LookupError, TypeError):
        return False
    return bool(status["phase"] == UP)
