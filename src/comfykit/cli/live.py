"""The lowest lines of a terminal while a workflow runs: the node at work, and above it what it has so far."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class LiveBar:
    """A bar for one node at a time, which goes away when it is stopped; rich draws it anew now and then."""

    def __init__(self, console: Console) -> None:
        self._bar = _PictureProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            # Rich would write to its own console, on stderr, what is meant for a file or a pipe.
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task: TaskID | None = None

    def start(self) -> None:
        """Appear, with the first node."""
        self._bar.start()

    def stop(self) -> None:
        """Disappear."""
        self._bar.stop()

    def show(self, description: str) -> None:
        """Another node is at work; how many steps it has is not known yet."""
        self.clear()
        self._task = self._bar.add_task(description, total=None, speed="")

    def advance(self, completed: int, total: int, speed: str) -> None:
        """The node has done some of its steps."""
        if self._task is not None:
            self._bar.update(self._task, completed=completed, total=total, speed=speed)

    def preview(self, picture: RenderableType) -> None:
        """What the node has so far, in place of what was shown before."""
        self._bar.picture = picture
        self._bar.refresh()

    def clear(self) -> None:
        """No node is at work."""
        self._bar.picture = None
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None


class _PictureProgress(Progress):
    """A bar with a picture above it."""

    picture: RenderableType | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        """What rich draws, from top to bottom."""
        if self.picture is not None:
            yield self.picture
        yield from super().get_renderables()
