"""How transfers look: bars on a terminal, plain lines in a log, records with `--json`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from comfykit.cli.output import Output
from comfykit.events import Event, TransferAdvanced, TransferEnded, TransferStarted, Warned
from comfykit.fetch.urls import host

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LINE_SECONDS = 10.0
_RECORD_SECONDS = 0.5


class TransferReporter(Protocol):
    """Shows the events of transfers; called by one thread at a time."""

    def expect(self, files: int) -> None:
        """Say how many files there are to fetch."""

    def report(self, event: Event) -> None:
        """Show one event."""


@contextmanager
def reporter_for(output: Output) -> Iterator[TransferReporter]:
    """The reporter that fits where the words go."""
    if output.as_json:
        yield _Records(output)
    elif sys.stderr.isatty():
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
        )
        with Progress(*columns, console=output.console(stderr=True), transient=True) as progress:
            yield _Bars(output, progress)
    else:
        yield _Lines(output)


def size_words(size: int) -> str:
    """A size for people, in binary units."""
    amount, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"


class _Records:
    """JSON lines; progress of one file at most twice a second."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._totals: dict[str, int | None] = {}
        self._shown: dict[str, float] = {}

    def expect(self, files: int) -> None:
        self._output.record(event="progress", files=files)

    def report(self, event: Event) -> None:
        match event:
            case Warned(message, hint):
                self._output.record(event="warning", message=message, hint=hint)
            case TransferStarted(name, url, total):
                self._totals[name] = total
                self._output.record(event="progress", file=name, done=0, total=total, url=url)
            case TransferAdvanced(name, done) if time.monotonic() - self._shown.get(
                name, 0.0
            ) >= _RECORD_SECONDS or done == self._totals.get(name):
                self._shown[name] = time.monotonic()
                self._output.record(event="progress", file=name, done=done, total=self._totals.get(name))


class _Lines:
    """Sentences for a log: when a file starts, every ten seconds, and when it ends."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._totals: dict[str, int | None] = {}
        self._shown: dict[str, float] = {}
        self._files = 0
        self._ended = 0

    def expect(self, files: int) -> None:
        self._files = files

    def report(self, event: Event) -> None:
        match event:
            case Warned(message, hint):
                self._output.warn(message, hint)
            case TransferStarted(name, url, total):
                self._totals[name] = total
                self._shown[name] = time.monotonic()
                size = f" ({size_words(total)})" if total is not None else ""
                self._output.say(f"fetching {name}{size} from {host(url)}")
            case TransferAdvanced(name, done) if time.monotonic() - self._shown[name] >= _LINE_SECONDS:
                self._shown[name] = time.monotonic()
                total = self._totals[name]
                share = f" of {size_words(total)}, {done * 100 // total} %" if total else ""
                self._output.say(f"{name}: {size_words(done)}{share}")
            case TransferEnded(name, size, error):
                self._ended += 1
                told = f"failed: {error}" if error else f"in place, {size_words(size)}"
                self._output.say(f"[{self._ended}/{self._files}] {name} {told}")


class _Bars:
    """A bar for every file on its way and one for all of them."""

    def __init__(self, output: Output, progress: Progress) -> None:
        self._output = output
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._totals: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._ended = 0
        self._files = 0
        self._all = progress.add_task("", total=None, visible=False)

    def expect(self, files: int) -> None:
        self._files = files
        self._progress.update(self._all, visible=files > 0)
        self._sum()

    def report(self, event: Event) -> None:
        match event:
            case Warned(message, hint):
                self._output.warn(message, hint)
            case TransferStarted(name, _, total):
                self._forget(name)
                self._tasks[name] = self._progress.add_task(name, total=total)
                self._totals[name] = total or 0
            case TransferAdvanced(name, done):
                self._done[name] = done
                self._progress.update(self._tasks[name], completed=done)
                self._sum()
            case TransferEnded(name, size, _):
                self._forget(name)
                self._ended += 1
                self._totals[name] = self._done[name] = size
                self._sum()

    def _forget(self, name: str) -> None:
        """Take away the bar of a file that ended, or that starts anew from another mirror."""
        if name in self._tasks:
            self._progress.remove_task(self._tasks.pop(name))
        self._totals.pop(name, None)
        self._done.pop(name, None)

    def _sum(self) -> None:
        """The bar for all files: bytes of those whose size is known by now."""
        self._progress.update(
            self._all,
            description=f"{self._ended}/{self._files} files",
            total=sum(self._totals.values()) or None,
            completed=sum(self._done.values()),
        )
