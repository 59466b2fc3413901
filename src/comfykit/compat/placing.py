"""Where the networks that packs use are placed: with those of the node at work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from comfykit.compat import running
from comfykit.memory import Residency

_own: list[Residency] = []
_within: ContextVar[Residency | None] = ContextVar("residency of a run", default=None)


def residency() -> Residency:
    """That of the run or the node at work; between nodes one of our own, by the settings."""
    within, context = _within.get(), running.node()
    if within is not None:
        return within
    if context is not None:
        return context.residency
    if not _own:
        settings = running.settings()
        _own.append(Residency(settings.device, settings.precision))
    return _own[0]


@contextlib.contextmanager
def using(given: Residency) -> Iterator[None]:
    """Within, `residency()` is that one."""
    token = _within.set(given)
    try:
        yield
    finally:
        _within.reset(token)
