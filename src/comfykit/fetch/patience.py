"""How many failures a source is allowed before another one is asked."""

from __future__ import annotations

import threading
import time

from comfykit.errors import FetchError
from comfykit.fetch.limits import MIB, Limits
from comfykit.fetch.retry import pause

# So much in between, and failures do not count as being in a row.
_PROGRESS_BYTES = MIB
# Another source is asked rather than one that wants so much time.
_LONG_SECONDS = 10.0


class Patience:
    """Counts failures in a row of one source; used by all its connections.

    `allowed` is fewer than `limits.tries` where there is somebody else to ask.
    """

    def __init__(self, limits: Limits, allowed: int) -> None:
        self._limits, self._allowed = limits, allowed
        self._lock = threading.Lock()
        self._strikes = 0
        self._struck_at = float("-inf")
        self._fetched = 0

    def strike(self, error: FetchError, began: float, fetched: int, *, idle: bool) -> float | None:
        """Count the failure of a request; seconds to wait before the next, None when it was one too many.

        `began` is when the request did (`time.monotonic`), `fetched` how many bytes have come by now;
        `idle` is whether nothing comes over other connections either.
        """
        limits = self._limits
        with self._lock:
            if fetched - self._fetched >= _PROGRESS_BYTES:
                self._strikes = 0
            # Connections that broke together are one failure.
            if began >= self._struck_at:
                self._strikes += 1
                self._struck_at, self._fetched = time.monotonic(), fetched
            strikes = self._strikes
        if strikes >= limits.tries or (strikes >= self._allowed and idle):
            return None
        seconds = pause(error, strikes, limits.backoff_seconds, limits.longest_wait)
        return None if self._allowed < limits.tries and seconds > _LONG_SECONDS else seconds
