"""One file from one source through aria2: asked for, compared, fetched, and tried again."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from comfykit.errors import Interrupted, TransferError, VerificationError
from comfykit.events import Reporter, TransferAdvanced, TransferStarted, Warned
from comfykit.fetch.answers import Identity, same_object
from comfykit.fetch.aria2_daemon import Daemon
from comfykit.fetch.aria2_download import Download, Task
from comfykit.fetch.backend import Job, Received
from comfykit.fetch.formats import START_BYTES, judge_start
from comfykit.fetch.hasher import Hasher
from comfykit.fetch.journal import Origin
from comfykit.fetch.limits import MIB, Limits
from comfykit.fetch.line import Line
from comfykit.fetch.partial import Partial
from comfykit.fetch.resolve import Remote, reach
from comfykit.fetch.resume import read_usable, why_not
from comfykit.fetch.retry import TABLE, Action, Cause, cause_of, fault, pause
from comfykit.fetch.source import Expected, Source
from comfykit.fetch.space import check_room
from comfykit.fetch.spans import Span, Spans
from comfykit.fetch.threads import in_thread
from comfykit.fetch.urls import host
from comfykit.fetch.wire import Wire

_WATCH_SECONDS = 0.05
T = TypeVar("T")


class NotForAria2(Exception):
    """The file must be fetched by the other backend; the message says why."""


class Kit(Protocol):
    """What errands share: the backend."""

    wire: Wire
    limits: Limits
    daemon: Daemon

    def free_path(self) -> Path:
        """A path for a link to a partial file."""


class Errand:
    """One file; `bring` may be called for one source after the other."""

    def __init__(
        self, kit: Kit, job: Job, partial: Partial, cancel: threading.Event, report: Reporter
    ) -> None:
        self._kit, self._limits = kit, kit.limits
        self._job, self._partial, self._cancel, self._report = job, partial, cancel, report
        self._givers: list[Source] = []  # whose bytes are in the partial file, the last one first
        self._fetched = 0
        self._hasher: Hasher | None = None

    def close(self) -> None:
        """End what still runs; the partial file stays as it is."""
        if self._hasher is not None:
            self._hasher.close()
        self._hasher = None

    def bring(self, source: Source) -> Received:
        """Have all bytes in the partial file; tries again as `retry.TABLE` says.

        Raises what `Backend.receive` does, of this source alone, and `NotForAria2`.
        """
        strikes, restarted = 0, False
        while True:
            before = self._fetched
            try:
                return self._attempt(source)
            except TransferError as error:
                action = TABLE[cause_of(error)]
                if action is Action.NEXT:
                    raise
                if action is Action.RESTART:
                    self._restart()
                if action is Action.STREAM or (action is Action.RESTART and restarted):
                    raise NotForAria2(str(error)) from error
                if action is Action.RESTART:
                    restarted = True
                    self._report(Warned(f"{self._job.name}: {error}; starting again"))
                    continue
                strikes = 1 if self._fetched - before >= MIB else strikes + 1
                if strikes >= self._limits.tries:
                    raise
                wait = pause(error, strikes, self._limits.backoff_seconds, self._limits.longest_wait)
            if self._cancel.wait(wait):
                raise Interrupted("interrupted")

    def _attempt(self, source: Source) -> Received:
        remote = self._ask(source)
        size = self._fitting_size(remote)
        done = self._keep(remote, size)
        if self._givers[:1] != [source]:
            self._givers = [source, *(one for one in self._givers if one != source)]
            self._report(TransferStarted(self._job.name, source.shown, size))
        self._hasher = self._hasher or Hasher(self._partial.fileno)
        self._hasher.reach(done.prefix)
        if done.covered < size:
            self._download(remote, Task(remote, size, self._partial, done))
        if self._known_sha256(remote.identity) is None:
            self._compare(remote)
        told = remote.identity.sha256
        announced = Expected(size, told, "the hub") if told else Expected(size)
        os.ftruncate(self._partial.fileno, size)  # what an earlier run left behind the end
        sha256 = self._hasher.digest(size, self._cancel)
        return Received(size, sha256, tuple(self._givers), announced, self._fetched)

    def _ask(self, source: Source) -> Remote:
        """Where the bytes are now; the first of them can be those of the file."""

        def look(line: Line) -> tuple[Remote, bytes]:
            opened = reach(self._kit.wire, source, Span(0, START_BYTES), line)
            start, count = bytearray(START_BYTES), 0
            try:
                while count < START_BYTES and (more := opened.answer.readinto(memoryview(start)[count:])):
                    count += more
            finally:
                opened.answer.close()
            return opened.remote, bytes(start[:count])

        remote, start = self._watched(look)
        wrong = judge_start(self._job.name, start, remote.identity.size)
        if wrong:
            raise VerificationError(f"what {host(remote.url)} sent is not the file: {wrong}")
        return remote

    def _watched(self, call: Callable[[Line], T]) -> T:
        """Run a request; it ends soon when it is stuck or the run is cancelled."""
        line = Line()
        pending = in_thread(lambda: call(line))
        while True:
            try:
                return pending.result(_WATCH_SECONDS)
            except TimeoutError:
                if pending.done():
                    raise
            stuck = line.judge(self._limits, time.monotonic())
            if stuck:
                line.end(stuck)
            if self._cancel.is_set():
                line.end(Interrupted("interrupted"))
                raise Interrupted("interrupted")

    def _fitting_size(self, remote: Remote) -> int:
        """The size of the file; raises where it is not what it should be or not for aria2."""
        size, expected = remote.identity.size, self._job.expected
        if set(remote.headers) - {"User-Agent"}:
            raise NotForAria2("its headers are for one host alone")
        if size is None or not remote.ranges:
            raise NotForAria2(f"{host(remote.url)} sends no parts of it")
        if expected.size is not None and size != expected.size:
            raise fault(
                Cause.WRONG,
                f"{host(remote.url)} has a file of {size} bytes, and {expected.said_by} says {expected.size}",
            )
        return size

    def _known_sha256(self, identity: Identity) -> str | None:
        return self._job.expected.sha256 or identity.sha256

    def _keep(self, remote: Remote, size: int) -> Spans:
        """What of the partial file is of this object; else it is emptied. Its journal is begun."""
        known = self._known_sha256(remote.identity)
        expected = replace(self._job.expected, sha256=known)
        try:
            record = read_usable(self._partial, self._job.expected)
            why = why_not(record.origin, remote, expected) if record and record.done else None
        except (ValueError, OSError) as error:
            record, why = None, str(error)
        if why and remote.source in self._givers:
            raise fault(Cause.CHANGED, why)
        if why:
            self._report(Warned(f"{self._job.name}: {why}; starting again"))
        done = Spans() if record is None or why else record.done
        if not done:
            self._restart()
        check_room(self._partial.target, size, done.covered)
        os.fdatasync(self._partial.fileno)
        identity = remote.identity
        origin = Origin(remote.source.shown, size, identity.etag, identity.modified, known)
        self._partial.journal.begin(origin, done)
        return done

    def _restart(self) -> None:
        self.close()
        self._partial.restart()
        self._givers.clear()

    def _download(self, remote: Remote, task: Task) -> None:
        progress = _Progress(self._job.name, task.done.covered, self._hasher, self._report)
        try:
            Download(self._kit.daemon, task, self._kit.free_path(), self._limits, progress).run(self._cancel)
        except TransferError as error:
            if cause_of(error) is Cause.NO_RANGES:
                self._compare(remote)  # another file is the better reason
            raise
        finally:
            self._fetched += progress.fetched

    def _compare(self, remote: Remote) -> None:
        """Ask again whether the file is still the one that was begun: aria2 does not look."""
        if same_object(remote.identity, self._ask(remote.source).identity) is False:
            raise _changed(remote)


class _Progress:
    """Passes on how far a download is: to people, and to the hash."""

    def __init__(self, name: str, there: int, hasher: Hasher | None, report: Reporter) -> None:
        self._name, self._there, self._hasher, self._report = name, there, hasher, report
        self.fetched = 0

    def advanced(self, count: int) -> None:
        """As `Watcher.advanced`."""
        self.fetched = max(0, count - self._there)
        self._report(TransferAdvanced(self._name, count))

    def written(self, have: Spans) -> None:
        """As `Watcher.written`."""
        if self._hasher is not None:
            self._hasher.reach(have.prefix)


def _changed(remote: Remote) -> TransferError:
    return fault(Cause.CHANGED, f"the file at {host(remote.url)} changed while it was fetched")
