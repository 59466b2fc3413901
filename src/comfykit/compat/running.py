"""The run that a pack's code is part of: where host modules ask for settings, models and progress.

The loader says which settings the process runs with (`use_settings`), the adapters which node is at work
(`at_work`). A thread that a pack starts sees the node that began last.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Iterator
from contextvars import ContextVar

from comfykit.events import Event
from comfykit.nodes.context import NodeContext
from comfykit.nodes.folders import current_folders
from comfykit.settings import Settings, resolve

_node: ContextVar[NodeContext | None] = ContextVar("node at work", default=None)
_latest: list[NodeContext] = []
_settings: list[Settings] = []


def use_settings(settings: Settings) -> None:
    """The settings that host modules answer by from now on."""
    _settings[:] = [settings]


def settings() -> Settings:
    """Those of the node at work, of the workflow that is checked, of the loader, or of the environment."""
    context = node()
    found = current_folders() if context is None else context.settings
    if found is not None:
        return found
    if not _settings:
        _settings.append(resolve({}))
    return _settings[0]


def node() -> NodeContext | None:
    """The context of the node at work; None while packs are imported and between nodes."""
    found = _node.get()
    return found if found is not None else next(iter(_latest), None)


@contextlib.contextmanager
def at_work(context: NodeContext) -> Iterator[None]:
    """Within, `node()` is `context`, and what is printed goes to standard error: standard output is data."""
    out = sys.stdout

    def report(event: Event) -> None:
        with contextlib.redirect_stdout(out):
            context.reporter(event)

    with contextlib.redirect_stdout(sys.stderr), in_background(dataclasses.replace(context, reporter=report)):
        yield


@contextlib.contextmanager
def in_background(context: NodeContext) -> Iterator[None]:
    """The same for a node that runs while others do, whose output is not its own to direct."""
    token, before = _node.set(context), _latest[:]
    _latest[:] = [context]
    try:
        yield
    finally:
        _node.reset(token)
        _latest[:] = before
