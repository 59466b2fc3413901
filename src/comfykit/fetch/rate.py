"""Who has to wait: one speed limit for everything, and one gate for each host."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_POLL_SECONDS = 0.2


class Throttle:
    """A limit in bytes a second for all connections together; None lets everything pass."""

    def __init__(self, rate: float | None) -> None:
        self.rate = rate
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    def spend(self, count: int, stop: threading.Event) -> float:
        """Wait until `count` bytes that came are paid for, or `stop` is set; seconds waited."""
        if self.rate is None:
            return 0.0
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + count / self.rate
            seconds = self._free_at - now
        stop.wait(seconds)
        return seconds


class Gates:
    """How many requests a host gets at once, and until when it gets none; shared by all files."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._open: dict[str, int] = {}
        self._shut_until: dict[str, float] = {}

    def hold(self, host: str, seconds: float) -> None:
        """Let no request pass to a host for some seconds: it asked for that."""
        with self._changed:
            until = time.monotonic() + seconds
            self._shut_until[host] = max(self._shut_until.get(host, 0.0), until)

    def held(self, host: str) -> float:
        """Seconds until a host may be asked again; 0 when it may be."""
        with self._changed:
            return max(self._shut_until.get(host, 0.0) - time.monotonic(), 0.0)

    @contextmanager
    def passing(self, host: str, stop: threading.Event) -> Iterator[bool]:
        """Pass through the gate of a host, once it opens; False when `stop` was set before."""
        passed = self._enter(host, stop)
        try:
            yield passed
        finally:
            if passed:
                with self._changed:
                    self._open[host] -= 1
                    self._changed.notify()

    def _enter(self, host: str, stop: threading.Event) -> bool:
        with self._changed:
            while not stop.is_set():
                shut = self._shut_until.get(host, 0.0) - time.monotonic()
                if shut <= 0 and self._open.get(host, 0) < self._most:
                    self._open[host] = self._open.get(host, 0) + 1
                    return True
                self._changed.wait(min(shut, _POLL_SECONDS) if shut > 0 else _POLL_SECONDS)
        return False
