"""Writes the journal of a partial file while others write the file."""

from __future__ import annotations

import os
import threading
import time

from comfykit.fetch.journal import Origin
from comfykit.fetch.limits import Limits
from comfykit.fetch.partial import Partial
from comfykit.fetch.pieces import Pieces
from comfykit.fetch.spans import Spans
from comfykit.fetch.threads import in_thread


class Keeper:
    """A thread that notes what is there, so that a killed process loses only a moment's bytes.

    It flushes the file before it says that bytes are on the disk, and nobody waits for that. A file that
    arrives within a moment gets no journal.
    """

    def __init__(self, partial: Partial, origin: Origin, pieces: Pieces, limits: Limits) -> None:
        self._partial, self._origin, self._pieces, self._limits = partial, origin, pieces, limits
        self._stop = threading.Event()
        self._noted = pieces.snapshot()
        self._thread = in_thread(self._run)

    def check(self) -> None:
        """Raise the `OSError` that ended the thread, if one did."""
        if self._thread.done():
            self._thread.result()

    def close(self, *, keep: bool) -> None:
        """End the thread; with `keep`, note what is there now. Waits for a flush that is under way."""
        self._stop.set()
        self._thread.exception()
        if keep and self._pieces.covered:
            self._begin()
            self._partial.journal.note(self._pieces.snapshot())

    def _run(self) -> None:
        limits = self._limits
        flushed_at = time.monotonic()
        while not self._stop.wait(limits.note_seconds):
            done = self._pieces.snapshot()
            if done == self._noted:
                continue
            self._begin()
            self._partial.journal.note(done)
            self._noted = done
            if time.monotonic() - flushed_at >= limits.flush_seconds:
                self._flush(done)
                flushed_at = time.monotonic()

    def _begin(self) -> None:
        if not self._partial.journal.begun:
            self._partial.journal.begin(self._origin)

    def _flush(self, done: Spans) -> None:
        os.fdatasync(self._partial.fileno)
        self._partial.journal.flushed(done)
