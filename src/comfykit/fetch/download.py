"""One file: from whatever is there already to all of its bytes, over as many sources as it takes."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace

from comfykit.errors import FetchError, Interrupted
from comfykit.events import Reporter, TransferAdvanced, TransferStarted, Warned
from comfykit.fetch.answers import Identity
from comfykit.fetch.backend import Job, Received
from comfykit.fetch.formats import START_BYTES
from comfykit.fetch.hasher import Hasher
from comfykit.fetch.journal import Origin
from comfykit.fetch.keeper import Keeper
from comfykit.fetch.partial import Partial
from comfykit.fetch.pieces import Pieces
from comfykit.fetch.race import Failure, Race, Request, Started
from comfykit.fetch.resolve import WHOLE
from comfykit.fetch.resume import read_usable, why_not
from comfykit.fetch.retry import TABLE, Action, cause_of, joined, pause
from comfykit.fetch.session import Session
from comfykit.fetch.source import Expected, Source
from comfykit.fetch.space import check_room
from comfykit.fetch.spans import Span, Spans
from comfykit.fetch.tools import Tools

_REPORT_SECONDS = 0.1
# With other sources to go to and a checksum to decide, so many failures in a row are enough.
_HASTY = 2


class Download:
    """Brings one file; `run` is called once, by the thread that holds the partial file."""

    def __init__(
        self, tools: Tools, job: Job, partial: Partial, cancel: threading.Event, report: Reporter
    ) -> None:
        self._tools, self._job, self._partial = tools, job, partial
        self._cancel, self._report = cancel, report
        self._sources = list(job.sources)
        self._expected = job.expected
        self._origin: Origin | None = None
        self._done = Spans()
        self._hasher = Hasher(partial.fileno)
        self._used: list[Source] = []
        self._failures: dict[str, FetchError] = {}
        self._restarts = 0
        self._whole = False  # one connection without parts, as parts went wrong
        self._strikes = 0
        self._fetched = 0
        self._reported = 0.0

    def run(self) -> Received:
        """All bytes into the partial file. Raises as `Backend.receive`."""
        try:
            self._read_journal()
            while not self._is_complete():
                started = self._find_source()
                if self._adopt(started) and self._session(started):
                    break
            size = self._done.covered
            # What an earlier run, or somebody else, left behind the end was never part of the file.
            os.ftruncate(self._partial.fileno, size)
            sha256 = self._hasher.digest(size, self._cancel)
        finally:
            self._hasher.close()
        announced = replace(self._expected, size=size) if self._expected.said_by == "the hub" else Expected()
        return Received(size, sha256, tuple(reversed(self._used)), announced, self._fetched)

    def _is_complete(self) -> bool:
        """Whether the journal has everything, and a checksum will say whether that is right."""
        origin, sha256 = self._origin, self._expected.sha256
        return origin is not None and self._done.prefix == origin.size and origin.sha256 == sha256 is not None

    def _read_journal(self) -> None:
        try:
            record = read_usable(self._partial, self._expected)
        except (ValueError, OSError) as error:
            self._restart(str(error))
        else:
            if record is not None:
                self._origin, self._done = record.origin, record.done

    def _wipe(self) -> None:
        """Throw away what is there."""
        self._partial.restart()
        self._hasher.close()
        self._hasher = Hasher(self._partial.fileno)
        self._origin, self._done, self._used = None, Spans(), []

    def _find_source(self) -> Started:
        """The source that leads; raises when none is left or all failed too often."""
        limits = self._tools.limits
        while True:
            race = Race(self._tools.wire, self._tools.gates, limits, self._request())
            started, failures = race.run(self._sources, self._cancel)
            for failure in failures:
                self._note(failure, more=started is not None)
            if started is not None:
                return started
            self._sources = [f.source for f in failures if TABLE[cause_of(f.error)] is Action.AGAIN]
            if any(TABLE[cause_of(f.error)] is Action.RESTART for f in failures) and self._done:
                self._restart("the file on the server has changed")
                self._sources = [f.source for f in failures]
                continue
            self._strikes += 1
            if not self._sources or self._strikes >= limits.tries:
                raise joined(list(self._failures.values()))
            worst = max(
                pause(f.error, self._strikes, limits.backoff_seconds, limits.longest_wait) for f in failures
            )
            self._wait(worst)

    def _request(self) -> Request:
        size = self._origin.size if self._origin else None
        gaps = self._done.missing(WHOLE if size is None else size)
        first = gaps[0] if gaps else Span(0, min(size or 0, START_BYTES))  # all there: is it still that file?
        end = WHOLE if self._whole else first.start + self._tools.limits.first_piece
        etag = self._origin.etag if self._origin else None
        validator = Identity(etag=etag).validator
        same = [source.url for source in self._sources if self._origin and source.shown == self._origin.url]
        validators = dict.fromkeys(same, validator) if validator else {}
        return Request(self._job.name, Span(first.start, min(end, first.end)), self._expected, validators)

    def _adopt(self, started: Started) -> bool:
        """Decide what becomes of the bytes that are there; False when the source must be asked anew."""
        remote, identity = started.opened.remote, started.opened.remote.identity
        if identity.sha256 and not self._expected.sha256:
            self._expected = Expected(identity.size, identity.sha256, "the hub")
        if self._done:
            why = why_not(self._origin, remote, self._expected)
            if why is not None:
                started.opened.answer.close()
                self._restart(why)
                return False
        try:
            check_room(self._partial.target, identity.size, self._done.covered)
        except FetchError as error:
            started.opened.answer.close()
            self._sources.remove(remote.source)
            # A size that nobody else vouches for may be a slip of this source alone.
            if not self._sources or identity.size == self._expected.size:
                raise
            self._note(Failure(remote.source, error), more=True)
            return False
        if identity.size is not None:
            sha256 = self._expected.sha256
            self._origin = Origin(
                remote.source.shown, identity.size, identity.etag, identity.modified, sha256
            )
            if self._done:
                os.fdatasync(self._partial.fileno)
                self._partial.journal.begin(self._origin, self._done)
        return True

    def _session(self, started: Started) -> bool:
        """Fetch from one source; whether everything is there then."""
        remote, source = started.opened.remote, started.opened.remote.source
        if self._origin is not None and self._done.prefix == self._origin.size:
            started.opened.answer.close()
            return True
        limits, identity = self._tools.limits, remote.identity
        can_mix = self._expected.sha256 is not None
        hasty = can_mix and remote.ranges and len(self._sources) > 1
        pieces = Pieces(identity.size, self._done, limits, whole=self._whole or not remote.ranges)
        self._hasher.reach(self._done.prefix)
        patience = min(_HASTY, limits.tries) if hasty else limits.tries
        session = Session(self._tools, started, pieces, self._partial.fileno, self._hasher, patience)
        keeper = None
        if self._origin is not None and remote.ranges and (identity.can_resume or can_mix):
            keeper = Keeper(self._partial, self._origin, pieces, limits)
        self._use(source)
        self._report(TransferStarted(self._job.name, source.shown, identity.size))

        def tick() -> None:
            if keeper is not None:
                keeper.check()
            self._tell(pieces)

        error: FetchError | None = None
        began = time.monotonic()
        try:
            session.run(self._cancel, tick)
        except FetchError as failure:
            error = failure
        finally:
            self._fetched += pieces.fetched
            self._done = pieces.snapshot()
            if keeper is not None:
                # Also of a complete file, whose hash may take a while yet; not of one that came in a moment.
                keeper.close(keep=not pieces.complete or self._partial.journal.begun)
            if keeper is None and not pieces.complete:
                self._wipe()
        if error is None:
            self._tell(pieces, last=True)
            speed = pieces.fetched / max(time.monotonic() - began, 1e-3)
            # The speed of a small file is that of the answer, not of the host.
            measured = speed if pieces.fetched > limits.first_piece else None
            self._tools.history.worked(source.url, latency=started.latency, speed=measured)
            return True
        self._gave_up(source, error, progressed=pieces.fetched > 1024 * 1024)
        return False

    def _gave_up(self, source: Source, error: FetchError, *, progressed: bool) -> None:
        """Decide with whom to go on after a source failed."""
        self._strikes = 0 if progressed else self._strikes + 1
        action = TABLE[cause_of(error)]
        others = [other for other in self._sources if other is not source]
        self._failures[source.url] = error
        self._tools.history.failed(source.url, error)
        if action is Action.STREAM and not self._whole:
            self._whole = True
            self._restart(str(error))
        elif action is Action.RESTART and not self._restarts:
            self._restart(str(error))
        elif action is Action.AGAIN and self._strikes < self._tools.limits.tries:
            self._sources = [*others, source]
            hint = f"trying {others[0].title}" if others else None
            self._report(Warned(f"{self._job.name}: {error}", hint))
            if not others:
                limits = self._tools.limits
                self._wait(pause(error, max(self._strikes, 1), limits.backoff_seconds, limits.longest_wait))
        else:
            self._sources = others
            if not others:
                raise joined(list(self._failures.values()))
            self._report(Warned(f"{self._job.name}: {error}", f"trying {others[0].title}"))

    def _restart(self, why: str) -> None:
        self._restarts += 1
        self._report(Warned(f"{self._job.name}: {why}; starting again"))
        self._wipe()

    def _note(self, failure: Failure, *, more: bool) -> None:
        self._failures[failure.source.url] = failure.error
        self._tools.history.failed(failure.source.url, failure.error)
        if more:
            self._report(Warned(f"{self._job.name}: {failure.error}", "trying another source"))

    def _use(self, source: Source) -> None:
        self._used = [used for used in self._used if used != source] + [source]

    def _tell(self, pieces: Pieces, *, last: bool = False) -> None:
        now = time.monotonic()
        if last or now - self._reported >= _REPORT_SECONDS:
            self._reported = now
            self._report(TransferAdvanced(self._job.name, pieces.covered))

    def _wait(self, seconds: float) -> None:
        if self._cancel.wait(seconds):
            raise Interrupted("interrupted")
