"""How transfers look: bars on a terminal, plain lines in a log, records with `--json`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from comfykit.cli.output import Output, printable
from comfykit.cli.progress_state import Progress
from comfykit.cli.rates import size_words, speed_words, time_words
from comfykit.events import Event, TransferAdvanced, TransferEnded, TransferStarted, Warned

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_LINE_SECONDS = 10.0
_RECORD_SECONDS = 0.5


class TransferReporter(Protocol):
    """Shows the events of transfers; called by one thread at a time."""

    def expect(self, files: int, size: int | None = None) -> None:
        """Say how many files there are to bring, and their bytes where all sizes are known."""

    def report(self, event: Event) -> None:
        """Show one event."""


@contextmanager
def reporter_for(
    output: Output, *, verb: str = "fetching", ended: str = "in place"
) -> Iterator[TransferReporter]:
    """The reporter that fits where the words go; `verb` and `ended` say in a log what is being done."""
    if output.as_json:
        yield _Records(output)
    elif sys.stderr.isatty():
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            DownloadColumn(binary_units=True),
            TextColumn("{task.fields[speed]:>11}", markup=False),
            TextColumn("{task.fields[left]:>11}", markup=False),
            TextColumn("{task.fields[source]}", markup=False),
        )
        with Progress(*columns, console=output.console(stderr=True), transient=True, expand=True) as progress:
            yield _Bars(output, progress)
    else:
        yield _Lines(output, verb, ended)


def plain_reporter(output: Output, *, verb: str = "reading", ended: str = "read") -> TransferReporter:
    """One without bars, for what is said before anything moves: bars would paint over a question."""
    return _Records(output) if output.as_json else _Lines(output, verb, ended)


class _Records:
    """JSON lines; progress of one file at most twice a second."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._progress = Progress()
        self._shown: dict[str, float] = {}

    def expect(self, files: int, size: int | None = None) -> None:
        self._progress.expect(files, size)
        self._output.record(event="progress", files=files, size=size)

    def report(self, event: Event) -> None:
        self._progress.take(event)
        match event:
            case Warned(message, hint):
                self._output.record(event="warning", message=message, hint=hint)
            case TransferStarted(name, url, total):
                self._output.record(event="progress", file=name, done=0, total=total, url=url)
            case TransferAdvanced(name, done) if self._is_due(name, done):
                self._shown[name] = time.monotonic()
                file = self._progress.files[name]
                speed, left = file.rate.speed, file.rate.seconds_left(file.total)
                self._output.record(
                    event="progress",
                    file=name,
                    done=done,
                    total=file.total,
                    host=file.host or None,
                    speed=None if speed is None else round(speed),
                    seconds_left=None if left is None else round(left, 1),
                )

    def _is_due(self, name: str, done: int) -> bool:
        since = time.monotonic() - self._shown.get(name, -_RECORD_SECONDS)
        return since >= _RECORD_SECONDS or done == self._progress.files[name].total


class _Lines:
    """Sentences for a log: when a file starts, every ten seconds, and when it ends."""

    def __init__(self, output: Output, verb: str, ended: str) -> None:
        self._output = output
        self._verb = verb
        self._told_end = ended
        self._progress = Progress()
        self._shown: dict[str, float] = {}

    def expect(self, files: int, size: int | None = None) -> None:
        self._progress.expect(files, size)

    def report(self, event: Event) -> None:
        self._progress.take(event)
        match event:
            case Warned(message, hint):
                self._output.warn(message, hint)
            case TransferStarted(name, _, total):
                self._shown[name] = time.monotonic()
                size = f" ({size_words(total)})" if total is not None else ""
                host = self._progress.files[name].host
                if size or host:  # what lies on this machine is there before anybody has read the line
                    self._output.say(f"{self._verb} {name}{size}" + (f" from {host}" if host else ""))
            case TransferAdvanced(name, done) if time.monotonic() - self._shown[name] >= _LINE_SECONDS:
                self._shown[name] = time.monotonic()
                self._output.say(self._line(name, done))
            case TransferEnded(name, size, error):
                told = f"failed: {error}" if error else f"{self._told_end}, {size_words(size)}"
                count = f"[{self._progress.ended}/{self._progress.expected}] "
                self._output.say(f"{count if self._progress.expected else ''}{name} {told}")

    def _line(self, name: str, done: int) -> str:
        """How far one file is, and all of them where there are several."""
        file = self._progress.files[name]
        share = f" of {size_words(file.total)}, {done * 100 // file.total} %" if file.total else ""
        left = time_words(file.rate.seconds_left(file.total))
        parts = [f"{name}: {size_words(done)}{share}", speed_words(file.rate.speed), left and f"{left} left"]
        if self._progress.expected > 1:
            all_left = time_words(self._progress.seconds_left)
            parts.append(
                f"all files: {size_words(self._progress.done)}" + (f", {all_left} left" if all_left else "")
            )
        return ", ".join(filter(None, parts))


class _Bars:
    """A bar for every file on its way and one for all of them."""

    def __init__(self, output: Output, bars: RichProgress) -> None:
        self._output = output
        self._bars = bars
        self._progress = Progress()
        self._tasks: dict[str, TaskID] = {}
        self._all = bars.add_task("", total=None, visible=False, speed="", left="", source="")

    def expect(self, files: int, size: int | None = None) -> None:
        self._progress.expect(files, size)
        self._bars.update(self._all, visible=files > 0)
        self._sum()

    def report(self, event: Event) -> None:
        self._progress.take(event)
        match event:
            case Warned(message, hint):
                self._output.warn(message, hint)
            case TransferStarted(name, _, total):
                self._forget(name)
                shown = printable(name, self._output.console(stderr=True).encoding)
                source = self._progress.files[name].host
                self._tasks[name] = self._bars.add_task(shown, total=total, speed="", left="", source=source)
            case TransferAdvanced(name, done) if name in self._tasks:
                file = self._progress.files[name]
                self._bars.update(
                    self._tasks[name],
                    completed=done,
                    speed=speed_words(file.rate.speed),
                    left=time_words(file.rate.seconds_left(file.total)),
                )
            case TransferEnded(name):
                self._forget(name)
        self._sum()

    def _forget(self, name: str) -> None:
        """Take away the bar of a file that ended, or that goes on from another mirror."""
        if name in self._tasks:
            self._bars.remove_task(self._tasks.pop(name))

    def _sum(self) -> None:
        """The bar for all files: their bytes, as far as sizes are known by now."""
        progress = self._progress
        self._bars.update(
            self._all,
            description=f"{progress.ended}/{progress.expected} files",
            total=progress.total or None,
            completed=progress.done,
            speed=speed_words(progress.rate.speed),
            left=time_words(progress.seconds_left),
        )
