"""How fast something goes, and how long it will take: from the last seconds, as speeds change."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

_WINDOW_SECONDS = 8.0


class Rate:
    """Bytes a second over the last seconds of a transfer.

    The first value only says where it starts: what an earlier run left on the disk did not come now.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, done: int) -> None:
        """Note how many bytes are there. Fewer than before start a new measurement."""
        now = self._clock()
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _WINDOW_SECONDS:
            self._seen.popleft()

    @property
    def measures(self) -> bool:
        """Whether a first value is there."""
        return bool(self._seen)

    @property
    def speed(self) -> float | None:
        """Bytes a second; None until there is something to measure."""
        if len(self._seen) < 2:
            return None
        (since, before), (now, done) = self._seen[0], self._seen[-1]
        return (done - before) / (now - since) if now > since else None

    def seconds_left(self, total: int | None) -> float | None:
        """Seconds until `total` bytes are there, at the present speed; None where nobody can say."""
        speed = self.speed
        if total is None or not speed or not self._seen:
            return None
        return max(0, total - self._seen[-1][1]) / speed


def size_words(size: float) -> str:
    """A size for people, in binary units."""
    amount, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"


def speed_words(speed: float | None) -> str:
    """A speed for people; nothing where it is not known."""
    return "" if speed is None else f"{size_words(speed)}/s"


def time_words(seconds: float | None) -> str:
    """A time for people, in its two largest units; nothing where it is not known."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
