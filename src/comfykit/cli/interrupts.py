"""Ctrl-C during a run: the first asks it to stop at the next step, the second ends it at once."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """While it is entered, an interrupt sets `requested()` instead of raising."""

    def __init__(self) -> None:
        self._asked = False
        self._before: Any = signal.default_int_handler

    def requested(self) -> bool:
        """Whether the user asked to stop."""
        return self._asked

    def __enter__(self) -> Interrupts:
        self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
