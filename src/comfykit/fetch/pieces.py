"""Who fetches which bytes next.

A file is cut while it arrives: whoever is free takes the first gap, as much of it as takes about two
seconds at the speed it has seen. When no gap is left, it takes the end of the piece that would be done
last, so that one slow connection does not hold up a file.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from comfykit.fetch.limits import Limits
from comfykit.fetch.resolve import WHOLE
from comfykit.fetch.spans import Span, Spans

# A piece is divided where that saves at least this long and this much.
_STEAL_SECONDS = 1.0
_STEAL_BYTES = 256 * 1024
# A connection that was silent for so long loses all of its piece to one that is free.
_SILENT_SECONDS = 3.0


@dataclass(slots=True, eq=False)
class Piece:
    """Bytes that one connection fetches: `at` is the next, and `end` may come nearer meanwhile."""

    start: int
    end: int
    at: int
    began: float = field(default_factory=time.monotonic)
    last: float = field(default_factory=time.monotonic)

    @property
    def span(self) -> Span:
        """What is left of it."""
        return Span(self.at, max(self.at, self.end))

    def speed(self, now: float) -> float:
        """Bytes a second until now."""
        return (self.at - self.start) / max(now - self.began, 1e-3)


class Pieces:
    """The bytes of one file: there, on their way, or missing. Used from several threads.

    `total` is None where the size is not known; then one connection takes everything (`whole`).
    """

    def __init__(self, total: int | None, done: Spans, limits: Limits, *, whole: bool = False) -> None:
        self.total = total
        self._limits = limits
        self._whole = whole or total is None
        self._done = done.copy()
        self._flying: list[Piece] = []
        self._lock = threading.Lock()
        self.fetched = 0

    def take(self, speed: float | None = None, length: int | None = None) -> Piece | None:
        """The next piece for a connection that had `speed`; None when there is nothing to take now."""
        with self._lock:
            gap = self._gap()
            if gap is None:
                return self._steal(speed)
            size = len(gap) if self._whole else length or self._size(speed)
            # What would be left of the gap is taken along when it is not worth a request of its own.
            end = gap.end if len(gap) - size < self._limits.min_piece // 4 else gap.start + size
            piece = Piece(gap.start, end, gap.start)
            self._flying.append(piece)
            return piece

    def begin(self, piece: Piece) -> bool:
        """Note that a piece is asked for now; False when another connection took all of it meanwhile."""
        with self._lock:
            piece.began = piece.last = time.monotonic()
            return piece.end > piece.at

    def room(self, piece: Piece) -> int:
        """How many bytes of a piece are still wanted of its connection."""
        with self._lock:
            return piece.end - piece.at

    def advance(self, piece: Piece, count: int) -> int:
        """Note that bytes of a piece were written; how many from the start are there without a gap."""
        with self._lock:
            self._done.add(Span(piece.at, piece.at + count))
            piece.at += count
            piece.last = time.monotonic()
            self.fetched += count
            return self._done.prefix

    def release(self, piece: Piece) -> None:
        """The connection is done with a piece; what is left of it is missing again."""
        with self._lock:
            if piece in self._flying:
                self._flying.remove(piece)

    def finish(self, total: int) -> None:
        """Say how many bytes a file of unknown size turned out to have."""
        with self._lock:
            self.total = total

    def snapshot(self) -> Spans:
        """What is there now."""
        with self._lock:
            return self._done.copy()

    @property
    def covered(self) -> int:
        """How many bytes are there."""
        with self._lock:
            return self._done.covered

    @property
    def complete(self) -> bool:
        """Whether all bytes are there."""
        with self._lock:
            return self.total is not None and self._done.covered >= self.total

    def _gap(self) -> Span | None:
        """The first bytes that are neither there nor on their way."""
        taken = self._done.copy()
        for piece in self._flying:
            taken.add(Span(piece.at, max(piece.at, piece.end)))
        gaps = taken.missing(WHOLE if self.total is None else self.total)
        return gaps[0] if gaps else None

    def _size(self, speed: float | None) -> int:
        limits = self._limits
        wanted = limits.first_piece if speed is None else int(speed * limits.piece_seconds)
        return min(max(wanted, limits.min_piece), limits.max_piece)

    def _steal(self, speed: float | None) -> Piece | None:
        """The end of the piece that would be done last, if that is worth a new request."""
        now = time.monotonic()
        # What has only just begun says nothing about its speed.
        known = [
            piece
            for piece in self._flying
            if now - piece.began >= _STEAL_SECONDS or now - piece.last > _SILENT_SECONDS
        ]
        if self._whole or not known:
            return None
        slowest = max(known, key=lambda piece: len(piece.span) / max(piece.speed(now), 1.0))
        left, theirs = len(slowest.span), slowest.speed(now)
        if left and now - slowest.last > _SILENT_SECONDS:
            start = slowest.at
        elif left >= 2 * _STEAL_BYTES and left / max(theirs, 1.0) >= 2 * _STEAL_SECONDS:
            ours = max(speed or theirs, 1.0)
            start = slowest.at + max(int(left * theirs / (ours + theirs)), _STEAL_BYTES)
        else:
            return None
        if start >= slowest.end:
            return None
        piece = Piece(start, slowest.end, start)
        slowest.end = start
        self._flying.append(piece)
        return piece
