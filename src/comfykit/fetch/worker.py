"""One connection of a transfer: copies the body of an answer to its place in the partial file."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

from comfykit.fetch.hasher import Hasher
from comfykit.fetch.line import Line, Phase
from comfykit.fetch.pieces import Piece, Pieces
from comfykit.fetch.rate import Throttle
from comfykit.fetch.resolve import Opened
from comfykit.fetch.retry import Cause, fault
from comfykit.fetch.urls import host

_BUFFER_BYTES = 512 * 1024
# Small reads are gathered for so long before they are written together.
_GATHER_SECONDS = 0.02


class Worker:
    """What one thread of a session works with.

    `writing` is held during every write, and `stop` looked at in it: who sets `stop` and then takes
    `writing` knows that nothing is written any more.
    """

    def __init__(
        self, pieces: Pieces, descriptor: int, hasher: Hasher, throttle: Throttle, stop: threading.Event
    ) -> None:
        self._pieces, self._descriptor, self._hasher = pieces, descriptor, hasher
        self._throttle, self._stop = throttle, stop
        # With a limit of speed, little is read at once, so that the connections take turns.
        self._buffer = memoryview(bytearray(_BUFFER_BYTES if throttle.rate is None else _BUFFER_BYTES // 8))
        self.line = Line()
        self.writing = threading.Lock()
        self.speed: float | None = None

    def copy(self, piece: Piece, opened: Opened, head: bytes) -> None:
        """Write what an answer holds of a piece; `head` has been read of it already.

        Raises `TransferError` when it breaks or ends early, and `OSError` of the disk.
        """
        if head:
            self._write(piece, memoryview(head))
        while (room := self._pieces.room(piece)) > 0:
            filled = 0
            try:
                for count in self._reads(opened, min(room, len(self._buffer))):
                    filled += count
            finally:
                if filled:  # also what came before the connection broke
                    self._write(piece, self._buffer[:filled])
            if not filled or self._stop.is_set():
                break
        if self._stop.is_set():
            return
        if opened.end is None:
            self._pieces.finish(piece.at)
        elif piece.at < min(opened.end, piece.end):
            raise fault(Cause.BROKEN, f"{host(opened.remote.url)}: the connection broke (it ended early)")

    def _reads(self, opened: Opened, limit: int) -> Iterator[int]:
        """Read up to `limit` bytes into the buffer, or what comes within a moment; the count of each read."""
        filled, since = 0, time.monotonic()
        while filled < limit and not self._stop.is_set():
            count = opened.answer.readinto(self._buffer[filled:limit])
            filled += count
            yield count
            if not count or time.monotonic() - since > _GATHER_SECONDS:
                return

    def _write(self, piece: Piece, data: memoryview) -> None:
        if self._throttle.rate is not None:
            self.line.enter(Phase.IDLE)  # not its fault that it is slow
            self._throttle.spend(len(data), self._stop)
            self.line.enter(Phase.READING)
        with self.writing:
            if self._stop.is_set():
                return
            written = 0
            while written < len(data):
                written += os.pwrite(self._descriptor, data[written:], piece.at + written)
            prefix = self._pieces.advance(piece, len(data))
        self._hasher.reach(prefix)
