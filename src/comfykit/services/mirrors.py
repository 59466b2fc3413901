"""Which mirrors there are, and which of them can be reached how fast."""

from __future__ import annotations

import concurrent.futures
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import PurePosixPath

from comfykit.errors import FetchError, UsageError
from comfykit.fetch.addresses import read_address
from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.guide import Guide
from comfykit.fetch.history import History
from comfykit.fetch.limits import MIB, Limits
from comfykit.fetch.line import Line
from comfykit.fetch.mirror_rules import PACKAGED
from comfykit.fetch.mirrors import sources_for
from comfykit.fetch.proxied import open_wire
from comfykit.fetch.resolve import reach
from comfykit.fetch.retry import Cause, fault
from comfykit.fetch.source import Source
from comfykit.fetch.spans import Span
from comfykit.fetch.threads import in_thread
from comfykit.fetch.urls import redact
from comfykit.fetch.wire import Wire

# What is fetched of each file, and the longest time that it may take.
SAMPLE_BYTES = MIB
PROBE_SECONDS = 15.0
# Fewer bytes than this say nothing about speed.
_LEAST_BYTES = 64 * 1024
_BUFFER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of asking one source for the start of a file.

    `url` is shown without secrets, `of` is the address whose mirror it is. `latency` is seconds to the
    headers of the last answer, redirects included; `speed` bytes a second, None where too few came.
    """

    host: str
    url: str
    of: str
    latency: float | None = None
    speed: float | None = None
    message: str = ""
    hint: str | None = None

    @property
    def works(self) -> bool:
        """Whether the source gave what it was asked for."""
        return self.latency is not None


@cache
def usual_probes() -> tuple[str, ...]:
    """The addresses that are measured where nobody names others."""
    document = tomllib.loads(PACKAGED.read_text(encoding="utf-8"))
    return tuple(probe["url"] for probe in document["probes"])


def measure_mirrors(
    guide: Guide, addresses: Sequence[str] = (), *, seconds: float = PROBE_SECONDS
) -> Iterator[Measured]:
    """Ask every source of each address for its first MiB, one after the other, so that none slows another.

    Without addresses, those of `usual_probes`. What is seen is kept in the guide's history. Raises
    `UsageError` for an address that is none.
    """
    urls = [_read(address) for address in addresses] or list(usual_probes())
    wire = open_wire(Limits(connect_seconds=seconds, answer_seconds=seconds))
    try:
        for url in urls:
            for source in _sources(url, guide):
                yield _measure(wire, source, url, seconds, guide.history)
    finally:
        wire.close()
        guide.history.save()


def _read(address: str) -> str:
    try:
        return read_address(address)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _sources(url: str, guide: Guide) -> list[Source]:
    """Every source of an address in the order of the rules, those for files with a checksum too."""
    entry = ManifestEntry((url,), PurePosixPath("probe"), "", 0)
    return sources_for(entry, [replace(rule, needs_checksum=False) for rule in guide.rules], guide.tokens)


def _measure(wire: Wire, source: Source, of: str, seconds: float, history: History) -> Measured:
    line = Line()
    found = Measured(source.title, source.shown, redact(of))
    pending = in_thread(lambda: _fetch(wire, source, line))
    try:
        latency, speed = pending.result(seconds)
    except concurrent.futures.TimeoutError:
        error = fault(Cause.STALLED, f"{source.title} did not send {SAMPLE_BYTES} bytes within {seconds:g} s")
        line.end(error)
        history.failed(source.url, error)
        return replace(found, message=str(error))
    except FetchError as error:
        history.failed(source.url, error)
        return replace(found, message=str(error), hint=error.hint)
    history.worked(source.url, latency=latency, speed=speed)
    return replace(found, latency=latency, speed=speed)


def _fetch(wire: Wire, source: Source, line: Line) -> tuple[float, float | None]:
    """Latency and speed of the first bytes of a file, which are thrown away."""
    began = time.monotonic()
    opened = reach(wire, source, Span(0, SAMPLE_BYTES), line)
    try:
        latency = time.monotonic() - began
        view, count = memoryview(bytearray(_BUFFER_BYTES)), 0
        while count < SAMPLE_BYTES and (arrived := opened.answer.readinto(view)):
            count += arrived
        elapsed = time.monotonic() - began - latency
    finally:
        opened.answer.close()
    return latency, count / max(elapsed, 1e-6) if count >= _LEAST_BYTES else None
