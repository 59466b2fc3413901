"""Finds the source to fetch from: the first one that really sends the file.

Sources are asked in their order. The next one is asked too when one fails, or has not sent its first MiB
in time; the first to do so leads, and the others are dropped. Nothing is written before the first
bytes have been looked at.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from comfykit.errors import FetchError, Interrupted, VerificationError
from comfykit.fetch import hubs
from comfykit.fetch.formats import START_BYTES, is_page, judge_start
from comfykit.fetch.limits import Limits
from comfykit.fetch.line import Line
from comfykit.fetch.rate import Gates
from comfykit.fetch.resolve import Opened, reach
from comfykit.fetch.retry import Cause
from comfykit.fetch.source import Expected, Source
from comfykit.fetch.spans import Span
from comfykit.fetch.threads import in_thread
from comfykit.fetch.urls import host
from comfykit.fetch.wire import Wire

_TICK_SECONDS = 0.05
_AT_ONCE = 3
_SIP_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Started:
    """A source that sends: its open answer, and what has come of it (`head`, from `opened.start` on)."""

    opened: Opened
    head: bytes
    line: Line
    latency: float


@dataclass(frozen=True, slots=True)
class Failure:
    """A source that did not send, and why."""

    source: Source
    error: FetchError


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of each source. `name` decides by which format the first bytes are judged."""

    name: str
    span: Span
    expected: Expected
    validators: dict[str, str] = field(default_factory=dict)  # of the address it was told for


class Race:
    """One search for a source; `run` is called once."""

    def __init__(self, wire: Wire, gates: Gates, limits: Limits, request: Request) -> None:
        self._wire, self._gates, self._limits, self._request = wire, gates, limits, request
        self._results: queue.SimpleQueue[Started | Failure | BaseException] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._running: dict[Line, float] = {}
        self._alone = False
        self._over = threading.Event()

    def run(self, sources: Sequence[Source], cancel: threading.Event) -> tuple[Started | None, list[Failure]]:
        """The source that leads, None where all failed, and those that failed before."""
        waiting, failures = list(sources), list[Failure]()
        try:
            # A source leaves `_running` only after its result is in the queue: in this order none is missed.
            while waiting or self._running or not self._results.empty():
                if waiting and self._next_is_due():
                    self._start(waiting.pop(0))
                self._alone = not waiting and len(self._running) <= 1
                result = self._wait(cancel)
                if isinstance(result, Started):
                    return result, failures
                if isinstance(result, Failure):
                    failures.append(result)
                elif result is not None:
                    raise result
            return None, failures
        finally:
            self._end()

    def _next_is_due(self) -> bool:
        if not self._running:
            return True
        latest = max(self._running.values())
        return len(self._running) < _AT_ONCE and time.monotonic() - latest > self._limits.race_seconds

    def _start(self, source: Source) -> None:
        line = Line()
        self._running[line] = time.monotonic()
        in_thread(lambda: self._try(source, line))

    def _wait(self, cancel: threading.Event) -> Started | Failure | BaseException | None:
        try:
            return self._results.get(timeout=_TICK_SECONDS)
        except queue.Empty:
            pass
        if cancel.is_set():
            raise Interrupted("interrupted")
        now = time.monotonic()
        for line in list(self._running):
            error = line.judge(self._limits, now)
            if error is not None:
                line.end(error)
        return None

    def _end(self) -> None:
        """Drop all that are still running; one that had finished meanwhile is closed."""
        with self._lock:
            self._over.set()
            for line in self._running:
                line.end(Interrupted("another source was faster"))
        while not self._results.empty():
            late = self._results.get()
            if isinstance(late, Started):
                late.opened.answer.close()

    def _try(self, source: Source, line: Line) -> None:
        result: Started | Failure | BaseException
        try:
            result = self._begin(source, line)
        except FetchError as error:
            result = Failure(source, error)
        except BaseException as error:  # noqa: BLE001  (not swallowed: it travels to whoever waits)
            result = error
        with self._lock:
            wanted = not self._over.is_set()
            if wanted:
                self._results.put(result)
            self._running.pop(line, None)
        if wanted:
            return
        if isinstance(result, Started):
            result.opened.answer.close()

    def _begin(self, source: Source, line: Line) -> Started:
        request = self._request
        with self._gates.passing(host(source.url), self._over) as passed:
            if not passed:
                raise Interrupted("another source was faster")
            began = time.monotonic()
            validator = request.validators.get(source.url)
            opened = reach(self._wire, source, request.span, line, validator)
            latency = time.monotonic() - began
        try:
            _check(opened, request.expected)
            head = self._read_head(opened)
            if opened.start == 0:
                wrong = judge_start(request.name, head, opened.remote.identity.size)
                if wrong:
                    refusal = hubs.Refusal(source.url, 200, token_from=source.token_from)
                    raise VerificationError(
                        f"what {host(opened.remote.url)} sent is not the file: {wrong}",
                        hint=hubs.hint(refusal) if is_page(head) else None,
                        cause=Cause.WRONG,
                    )
        except BaseException:
            opened.answer.close()
            raise
        return Started(opened, head, line, latency)

    def _read_head(self, opened: Opened) -> bytes:
        """What decides: enough to be judged, and a MiB where there are others to choose from."""
        most = max(self._limits.race_bytes, START_BYTES)
        if opened.end is not None:
            most = min(most, opened.end - opened.start)
        head, filled = memoryview(bytearray(most)), 0
        while filled < (min(most, START_BYTES) if self._alone else most):
            few = max(START_BYTES - filled, _SIP_BYTES)
            count = opened.answer.readinto(head[filled : filled + few])
            if not count:
                break
            filled += count
        return bytes(head[:filled])


def _check(opened: Opened, expected: Expected) -> None:
    """Compare what an answer announces with what is known, before it is read."""
    identity, name = opened.remote.identity, host(opened.remote.url)
    if expected.size is not None and identity.size not in (None, expected.size):
        raise VerificationError(
            f"{name} has a file of {identity.size} bytes, and {expected.said_by} says {expected.size}",
            cause=Cause.WRONG,
        )
    if expected.sha256 and identity.sha256 and identity.sha256 != expected.sha256:
        raise VerificationError(
            f"{name} announces sha-256 {identity.sha256}, and {expected.said_by} says {expected.sha256}",
            cause=Cause.WRONG,
            sha256=identity.sha256,
            expected=expected.sha256,
        )
