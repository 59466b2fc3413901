"""A request under way, as seen by the thread that watches it.

Reads block, and no timeout of a socket ends an answer that trickles. So the thread that reads writes
down here what it waits for and what came, another one judges that from time to time, and ends the
request by shutting its socket down, which wakes the reader at once.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from enum import Enum

from comfykit.errors import FetchError, Interrupted
from comfykit.fetch.limits import Limits
from comfykit.fetch.retry import Cause, fault


class Phase(Enum):
    """What a line is doing."""

    IDLE = "idle"
    ASKING = "asking"
    READING = "reading"


class Line:
    """One request at a time. Read and written by one thread; ended by any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._error: FetchError | Interrupted | None = None
        self.host = ""
        self.phase = Phase.IDLE
        self._since = self._last = time.monotonic()
        self._bytes = 0

    def enter(self, phase: Phase, host: str = "") -> None:
        """Begin another phase, from now on."""
        self.host = host or self.host
        self._since = self._last = time.monotonic()
        self._bytes = 0
        self.phase = phase

    def arrived(self, count: int) -> None:
        """Note that bytes came."""
        self._bytes += count
        self._last = time.monotonic()

    def hold(self, connected: socket.socket) -> None:
        """Name the socket that `end` shuts down; raises what the line was ended with."""
        with self._lock:
            self._socket = connected
        self.check()

    def let_go(self) -> None:
        """The request is over; its socket may serve another line."""
        with self._lock:
            self._socket = None
        self.enter(Phase.IDLE)

    def end(self, error: FetchError | Interrupted) -> None:
        """End the request, from any thread: the reader raises this error."""
        with self._lock:
            self._error = self._error or error
            if self._socket is not None:
                with suppress(OSError):  # closed already
                    # Not SSLSocket's own method, which would take the TLS object from under the reader.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def check(self) -> None:
        """Raise what the line was ended with."""
        if self._error is not None:
            raise self._error

    def judge(self, limits: Limits, now: float) -> FetchError | None:
        """Why the request must be ended; None while it may go on. Begins a new window when one is full."""
        if self.phase is Phase.ASKING and now - self._since > limits.answer_seconds:
            return fault(Cause.STALLED, f"{self.host} did not answer within {limits.answer_seconds:g} s")
        if self.phase is not Phase.READING:
            return None
        if now - self._last > limits.silence_seconds:
            return fault(
                Cause.STALLED, f"{self.host}: nothing arrived for too long ({limits.silence_seconds:g} s)"
            )
        elapsed, count = now - self._since, self._bytes
        if elapsed < limits.slow_seconds:
            return None
        if count < limits.slow_rate * elapsed:
            return fault(Cause.STALLED, f"{self.host} sent only {count} bytes in {elapsed:.0f} s")
        self._since, self._bytes = now, self._bytes - count
        return None
