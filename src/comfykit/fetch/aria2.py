"""The backend that leaves the bytes to aria2c.

What aria2 does not do happens around it: the address is resolved here, so that no token reaches it and a
link that has expired is replaced; the first bytes are judged before it writes any; ETag and size are
compared before and, where no checksum will decide, after. What it cannot do safely is left to the other
backend: a file of unknown size, a server that sends no parts, headers that are secrets (aria2 would tell
them to whoever it is redirected to).
"""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from comfykit.errors import FetchError
from comfykit.events import Reporter, Warned
from comfykit.fetch.aria2_daemon import Daemon
from comfykit.fetch.aria2_errand import Errand, NotForAria2
from comfykit.fetch.aria2_folder import Folder
from comfykit.fetch.backend import Backend, Job, Received
from comfykit.fetch.limits import Limits
from comfykit.fetch.partial import Partial
from comfykit.fetch.retry import joined
from comfykit.fetch.wire import Wire


class Aria2Backend:
    """Files through one private aria2c; `other` takes those that are not for it, and is closed with it."""

    name = "aria2"

    def __init__(self, wire: Wire, limits: Limits, other: Backend, command: str = "aria2c") -> None:
        self.wire, self.limits, self.other = wire, limits, other
        self.daemon = Daemon(limits, command)
        self._lock = threading.Lock()
        self._folder: Folder | None = None

    def receive(self, job: Job, partial: Partial, cancel: threading.Event, report: Reporter) -> Received:
        """As `Backend.receive`: one source after the other."""
        with closing(Errand(self, job, partial, cancel, report)) as errand:
            return self._receive(errand, job, partial, cancel, report)

    def _receive(
        self, errand: Errand, job: Job, partial: Partial, cancel: threading.Event, report: Reporter
    ) -> Received:
        failures: list[FetchError] = []
        for source in job.sources:
            if failures:
                report(Warned(f"{job.name}: {failures[-1]}", f"trying {source.title}"))
            try:
                return errand.bring(source)
            except NotForAria2 as reason:
                first = (source, *(one for one in job.sources if one != source))
                received = self.other.receive(replace(job, sources=first), partial, cancel, report)
                return replace(received, note=received.note or f"without aria2: {reason}")
            except FetchError as error:
                failures.append(error)
        raise joined(failures)

    def free_path(self) -> Path:
        """A path for a link to a partial file; aria2's control file will lie beside it."""
        with self._lock:
            if self._folder is None:
                self._folder = Folder()
            return self._folder.free_path()

    def close(self) -> None:
        """As `Backend.close`: aria2c ends, its folder is removed."""
        self.daemon.close()
        with self._lock:
            folder, self._folder = self._folder, None
        if folder is not None:
            folder.remove()
        self.other.close()
