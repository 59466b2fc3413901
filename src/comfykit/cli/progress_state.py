"""What is known of transfers while they go on: one account for bars, lines and records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from comfykit.cli.rates import Rate
from comfykit.events import Event, TransferAdvanced, TransferEnded, TransferStarted
from comfykit.fetch.urls import host


@dataclass(slots=True)
class File:
    """One file on its way; `host` is where its bytes come from now, empty for this machine."""

    host: str
    total: int | None
    rate: Rate
    done: int = 0


@dataclass(slots=True)
class Progress:
    """Files on their way, and the sum of all: bytes that are in place or on their way."""

    clock: Callable[[], float] = monotonic
    files: dict[str, File] = field(default_factory=dict)
    expected: int = 0
    ended: int = 0
    rate: Rate = field(init=False)
    _size: int | None = None
    _settled: int = 0
    _baseline: int = 0

    def __post_init__(self) -> None:
        self.rate = Rate(self.clock)

    def expect(self, files: int, size: int | None) -> None:
        """Say how many files will come, and their bytes together where that is known."""
        self.expected, self._size = files, size

    def take(self, event: Event) -> None:
        """Account for one event."""
        match event:
            case TransferStarted(name, url, total):
                known = self.files.get(name)
                rate = known.rate if known else Rate(self.clock)
                self.files[name] = File(_host(url), total, rate, known.done if known else 0)
            case TransferAdvanced(name, done) if name in self.files:
                file = self.files[name]
                if not file.done and not file.rate.measures:
                    self._baseline += done  # what an earlier run left: it is there, and did not come now
                file.done = done
                file.rate.add(done)
                self.rate.add(max(0, self.done - self._baseline))
            case TransferEnded(name, size, error):
                file_or_none = self.files.pop(name, None)
                self.ended += 1
                if error is None:
                    self._settled += size
                elif self._size is not None and file_or_none is not None:
                    self._size -= file_or_none.total or 0  # it will not come

    @property
    def done(self) -> int:
        """Bytes of all files that are in place or on their way."""
        return self._settled + sum(file.done for file in self.files.values())

    @property
    def total(self) -> int:
        """Bytes of all files, as far as their sizes are known by now."""
        known = self._settled + sum(file.total or file.done for file in self.files.values())
        return max(known, self._size or 0)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until all files are there; None where sizes are missing."""
        started = self.ended + len(self.files)
        if self._size is None and started < self.expected:
            return None
        speed = self.rate.speed
        return max(0, self.total - self.done) / speed if speed else None


def _host(url: str) -> str:
    return "" if url.startswith("file:") else host(url)
