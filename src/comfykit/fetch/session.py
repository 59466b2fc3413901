"""Fetches the missing bytes of a file from one source, over several connections."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

from comfykit.errors import FetchError, Interrupted
from comfykit.fetch.answers import same_object
from comfykit.fetch.hasher import Hasher
from comfykit.fetch.line import Line, Phase
from comfykit.fetch.patience import Patience
from comfykit.fetch.pieces import Piece, Pieces
from comfykit.fetch.race import Started
from comfykit.fetch.resolve import Opened, Remote, open_span, resolve
from comfykit.fetch.retry import TABLE, Action, Cause, cause_of, fault
from comfykit.fetch.threads import in_thread
from comfykit.fetch.tools import Tools
from comfykit.fetch.urls import host
from comfykit.fetch.worker import Worker

_TICK_SECONDS = 0.1
_GROW_SECONDS = 0.2
_FIRST_CONNECTIONS = 4
_WAIT_FOR_READERS = 0.4


class Session:
    """One source, as long as it serves. `patience` is how many failures in a row it is allowed."""

    def __init__(
        self, tools: Tools, started: Started, pieces: Pieces, descriptor: int, hasher: Hasher, patience: int
    ) -> None:
        self._tools, self._pieces, self._descriptor, self._hasher = tools, pieces, descriptor, hasher
        self._limits = tools.limits
        self._remote = started.opened.remote
        self._started = started
        self._patience = Patience(tools.limits, patience)
        self._allowed = self._most_connections()
        self._lock = threading.Lock()
        self._resolving = threading.Lock()
        self._workers: list[Worker] = []
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._fatal: BaseException | None = None
        self._resolved_bytes = -1
        self._samples: deque[tuple[float, int]] = deque([(time.monotonic(), pieces.fetched)], maxlen=50)

    def run(self, cancel: threading.Event, tick: Callable[[], None]) -> None:
        """Fetch until everything is there; `tick` is called ten times a second.

        Raises the `FetchError` for which the source is given up, `OSError` of the disk, and `Interrupted`.
        """
        grown = time.monotonic()
        try:
            self._launch(self._first_piece(), self._started)
            self._grow(_FIRST_CONNECTIONS)
            while not self._pieces.complete:
                self._wake.wait(_TICK_SECONDS)
                self._wake.clear()
                if cancel.is_set():
                    raise Interrupted("interrupted")
                if self._fatal is not None:
                    raise self._fatal
                self._watch()
                tick()
                if time.monotonic() - grown >= _GROW_SECONDS:
                    grown = time.monotonic()
                    count = max(len(self._workers), 1)
                    fast = self.rate() / count > self._limits.fast_rate
                    self._grow(count if fast else max(2 * count, _FIRST_CONNECTIONS))
                elif not self._workers:
                    self._grow(1)
        finally:
            self._close()

    def rate(self, seconds: float = 3.0) -> float:
        """Bytes a second lately."""
        now, fetched = time.monotonic(), self._pieces.fetched
        since, before = next((s for s in self._samples if now - s[0] <= seconds), (now, fetched))
        return (fetched - before) / max(now - since, 1e-3)

    def _most_connections(self) -> int:
        rate = self._limits.max_rate
        if not self._remote.ranges:
            return 1
        # A limit of speed is kept by few connections; many would each be slow enough to be given up.
        few = self._limits.connections if rate is None else max(1, int(rate // (1024 * 1024)))
        return min(self._limits.connections, few)

    def _first_piece(self) -> Piece:
        opened = self._started.opened
        length = None if opened.end is None else opened.end - opened.start
        piece = self._pieces.take(length=length)
        if piece is None or piece.at != opened.start:
            raise RuntimeError("the first answer does not begin where bytes are missing")
        return piece

    def _grow(self, count: int) -> None:
        """More connections, as far as there is something for them to fetch."""
        while self._fatal is None and len(self._workers) < min(count, self._allowed):
            speeds = [worker.speed for worker in self._workers if worker.speed]
            piece = self._pieces.take(sum(speeds) / len(speeds) if speeds else None)
            if piece is None:
                return
            self._launch(piece, None)

    def _launch(self, piece: Piece, started: Started | None) -> None:
        worker = Worker(self._pieces, self._descriptor, self._hasher, self._tools.throttle, self._stop)
        if started is not None:
            worker.line = started.line
        with self._lock:
            self._workers.append(worker)
        in_thread(lambda: self._work(worker, piece, started))

    def _watch(self) -> None:
        """End requests that take too long."""
        now = time.monotonic()
        self._samples.append((now, self._pieces.fetched))
        with self._lock:
            workers = list(self._workers)
        for worker in workers:
            error = worker.line.judge(self._limits, now)
            if error is not None:
                worker.line.end(error)

    def _close(self) -> None:
        """End all connections. When this returns, nobody writes to the file any more."""
        self._stop.set()
        with self._lock:
            workers = list(self._workers)
        for worker in workers:
            worker.line.end(Interrupted("the transfer is over"))
        deadline = time.monotonic() + _WAIT_FOR_READERS
        for worker in workers:
            # Whoever holds this lock is in the middle of a write, which looks at `_stop` before it begins.
            with worker.writing:
                pass
        while self._workers and time.monotonic() < deadline:
            time.sleep(0.005)

    def _work(self, worker: Worker, first: Piece, started: Started | None) -> None:
        piece: Piece | None = first
        try:
            while piece is not None and not self._stop.is_set():
                seconds = self._fetch(worker, piece, started)
                started = None
                if seconds is None:
                    break
                self._stop.wait(seconds)
                piece = self._pieces.take(worker.speed) if not self._stop.is_set() else None
        except Interrupted:
            pass
        except BaseException as error:  # noqa: BLE001  (not swallowed: `run` raises it)
            self._fatal = self._fatal or error
        finally:
            with self._lock:
                self._workers.remove(worker)
            self._wake.set()

    def _fetch(self, worker: Worker, piece: Piece, started: Started | None) -> float | None:
        """One piece, or part of it; seconds to wait before the next, None when there is to be no next."""
        began, remote = time.monotonic(), self._remote
        try:
            # An answer that is open already must not wait at the gate: its server would seem silent.
            gate = (
                self._tools.gates.passing(host(remote.url), self._stop) if not started else nullcontext(True)
            )
            with gate as passed:
                if not passed:
                    return None
                if not self._pieces.begin(piece) and started is None:
                    return 0.0
                opened = started.opened if started else self._open(remote, piece, worker)
                try:
                    worker.copy(piece, opened, started.head if started else b"")
                finally:
                    opened.answer.close()
            worker.speed = piece.speed(time.monotonic()) or worker.speed
            return 0.0
        except Interrupted:
            return None
        except FetchError as error:
            worker.line = Line()
            return self._judge(worker, error, remote, began)
        finally:
            self._pieces.release(piece)
            if self._pieces.complete:
                self._wake.set()

    def _open(self, remote: Remote, piece: Piece, worker: Worker) -> Opened:
        opened = open_span(self._tools.wire, remote, piece.span, worker.line)
        now = opened.remote
        try:
            if same_object(replace(remote.identity, sha256=None), now.identity) is False:
                raise fault(Cause.CHANGED, f"{host(remote.url)}: the file changed while it was fetched")
            if not now.ranges:
                raise fault(Cause.NO_RANGES, f"{host(remote.url)} sends the whole file instead of a part")
        except BaseException:
            opened.answer.close()
            raise
        return opened

    def _judge(self, worker: Worker, error: FetchError, remote: Remote, began: float) -> float | None:
        """What a failure means for this source: seconds to wait, None to end this connection."""
        if self._stop.is_set():
            return None
        action = TABLE[cause_of(error)]
        if not remote.ranges and action is Action.AGAIN:
            return self._given_up(error)  # a part cannot be asked for again
        if action is Action.RESOLVE:
            return self._resolve(worker, error, remote)
        if action is not Action.AGAIN:
            return self._given_up(error)
        return self._strike(error, began)

    def _given_up(self, error: FetchError) -> float | None:
        self._fatal = self._fatal or error
        self._wake.set()
        return None

    def _strike(self, error: FetchError, began: float) -> float | None:
        if cause_of(error) is Cause.BUSY and error.facts.get("wait") is None and self._others_read():
            self._allowed = max(1, len(self._workers) - 1)  # it serves fewer at once
            return None
        seconds = self._patience.strike(error, began, self._pieces.fetched, idle=self._is_idle())
        if seconds is None:
            return self._given_up(error)
        if cause_of(error) is Cause.BUSY:
            self._tools.gates.hold(host(self._remote.url), seconds)
        return seconds

    def _others_read(self) -> bool:
        with self._lock:
            return any(worker.line.phase is Phase.READING for worker in self._workers)

    def _is_idle(self) -> bool:
        return self.rate() < 16 * self._limits.slow_rate

    def _resolve(self, worker: Worker, error: FetchError, remote: Remote) -> float | None:
        """Ask the source for a new link, once for all connections."""
        with self._resolving:
            if self._remote is not remote:
                return 0.0
            if self._pieces.fetched == self._resolved_bytes:  # the last new link gave nothing
                return self._given_up(error)
            self._resolved_bytes = self._pieces.fetched
            try:
                found = resolve(self._tools.wire, remote.source, worker.line)
            except FetchError as another:
                worker.line = Line()
                if TABLE[cause_of(another)] is Action.AGAIN:
                    self._resolved_bytes = -1
                    return self._strike(another, time.monotonic())
                return self._given_up(another)
            if same_object(remote.identity, found.identity) is False:
                return self._given_up(
                    fault(Cause.CHANGED, f"{host(remote.url)}: the file changed while it was fetched")
                )
            self._remote = found
            return 0.0
