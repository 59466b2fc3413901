"""Watching a folder that a stranger's bytes fill."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from comfykit.errors import PackError
from comfykit.packs.limits import MIB, PackLimits

_LOOK_SECONDS = 0.5


class Growth:
    """Size of a folder, looked at now and then; raises `PackError` when it becomes too large.

    `advance` is called with the number of bytes.
    """

    def __init__(self, folder: Path, what: str, limits: PackLimits, advance: Callable[[int], None]) -> None:
        self._folder, self._what, self._limits, self._advance = folder, what, limits, advance
        self._next = 0.0

    def __call__(self) -> None:
        """Look, unless that was done a moment ago."""
        if time.monotonic() >= self._next:
            self.check()
            self._next = time.monotonic() + _LOOK_SECONDS

    def check(self) -> int:
        """Look now; the number of bytes."""
        size = files = 0
        for folder, _, names in os.walk(self._folder):
            files += len(names)
            for name in names:
                try:
                    size += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118  (many files)
                except OSError:  # git has renamed it meanwhile
                    continue
            if files > self._limits.files or size > self._limits.bytes:
                raise PackError(
                    f"{self._what} is larger than a pack may be "
                    f"({self._limits.files} files, {self._limits.bytes // MIB} MiB)",
                    hint="it may be a mistake or an attack; clone it yourself if you trust it",
                )
        self._advance(size)
        return size
