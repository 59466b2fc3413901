"""The search for a source, at the moments that real connections rarely hit."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from comfykit.fetch.limits import Limits
from comfykit.fetch.race import Failure, Race, Request, Started
from comfykit.fetch.rate import Gates
from comfykit.fetch.source import Expected, Source
from comfykit.fetch.spans import Span
from comfykit.fetch.wire import SocketWire
from fetch_support import Server, serving, whole

DATA = bytes(range(256)) * 40


class LateEar(Race):
    """Looks for results only when none was there in time, and by now the last source has ended."""

    deaf = True

    def _wait(self, cancel: threading.Event) -> Started | Failure | BaseException | None:
        if self.deaf:
            self.deaf = False
            while self._running:
                time.sleep(0.001)
            return None
        return super()._wait(cancel)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({"/a": whole(DATA)}) as running:
        yield running


@pytest.mark.parametrize("path", ["/a", "/missing"])
def test_a_result_that_comes_between_two_looks_is_not_lost(server: Server, path: str) -> None:
    limits = Limits()
    request = Request("a.dat", Span(0, 1000), Expected())
    race = LateEar(SocketWire(limits), Gates(8), limits, request)
    started, failures = race.run([Source(server.url + path)], threading.Event())
    assert (started is not None, len(failures)) == ((True, 0) if path == "/a" else (False, 1))
    if started is not None:
        started.opened.answer.close()
