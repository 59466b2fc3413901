"""What global functions of ComfyUI's interface do to the run: they report to it, and stop it.

A `ProgressBar` or `throw_exception_if_processing_interrupted()` takes no argument that says which run it
means; it is that of the node at work (`running`).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

from comfykit.compat import placing, running
from comfykit.errors import Interrupted
from comfykit.events import Event, silent
from comfykit.nodes.context import NodeContext

# One entry once a pack has asked the run to stop.
_asked: list[bool] = []


def context() -> NodeContext:
    """The context of the node at work, or one of no node; it also stops where a pack asked for it."""
    found = running.node()
    if found is None:
        found = NodeContext("", running.settings(), placing.residency(), silent, lambda: False)
    return dataclasses.replace(found, stopped=functools.partial(_stopped, found.stopped))


def report(event: Event) -> None:
    """Tell an event to whoever follows the run."""
    found = running.node()
    if found is not None:
        found.reporter(event)


def interrupt(value: bool = True) -> None:
    """Ask the run to stop, or take that back."""
    _asked[:] = [True] if value else []


def interrupted() -> bool:
    """Whether the user, or a pack, asked the run to stop."""
    found = running.node()
    return bool(_asked) if found is None else _stopped(found.stopped)


def stop_if_interrupted(error: Callable[[str], Interrupted] = Interrupted) -> None:
    """Raise where the run was asked to stop; what a pack asked for is done with that."""
    if interrupted():
        _asked.clear()
        raise error("interrupted")


def _stopped(of_run: Callable[[], bool]) -> bool:
    return bool(_asked) or of_run()
