"""The transfer engine of our own: several connections a file, resumed, from one source or several."""

from __future__ import annotations

import threading

from comfykit.events import Reporter
from comfykit.fetch.backend import Job, Received
from comfykit.fetch.download import Download
from comfykit.fetch.history import History
from comfykit.fetch.limits import Limits
from comfykit.fetch.partial import Partial
from comfykit.fetch.proxied import open_wire
from comfykit.fetch.rate import Gates, Throttle
from comfykit.fetch.tools import Tools


class Engine:
    """A `Backend`; one for all files of a run, so that connections and limits are shared."""

    name = "httpx"

    def __init__(self, limits: Limits | None = None, history: History | None = None) -> None:
        limits = limits or Limits()
        self.wire = open_wire(limits)
        gates, throttle = Gates(limits.host_connections), Throttle(limits.max_rate)
        self._tools = Tools(self.wire, gates, throttle, limits, history or History())

    def receive(self, job: Job, partial: Partial, cancel: threading.Event, report: Reporter) -> Received:
        """As `Backend.receive`."""
        return Download(self._tools, job, partial, cancel, report).run()

    def close(self) -> None:
        """As `Backend.close`."""
        self.wire.close()
