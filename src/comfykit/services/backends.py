"""The backend that the settings choose, with everything that transfers of a run share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from comfykit.fetch.backend import Backend
from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.guide import Guide, informed, needs_asking
from comfykit.fetch.limits import Limits
from comfykit.fetch.source import Expected
from comfykit.settings import Settings

Inform = Callable[[ManifestEntry], tuple[ManifestEntry, Expected]]


@contextmanager
def open_backend(settings: Settings, guide: Guide) -> Iterator[Backend]:
    """What brings files: our own transfers unless `settings.backend` says `aria2`; ends with the block."""
    from comfykit.fetch.engine import Engine  # brings TLS along, which a plan does not need

    limits = Limits(connections=settings.connections, max_rate=settings.max_speed)
    engine = Engine(limits, guide.history)
    backend: Backend = engine
    if settings.backend == "aria2":
        from comfykit.fetch.aria2 import Aria2Backend

        backend = Aria2Backend(engine.wire, limits, engine)
    with closing(backend):
        try:
            yield backend
        finally:
            guide.history.save()


@contextmanager
def open_inform(guide: Guide, entries: list[ManifestEntry]) -> Iterator[Inform | None]:
    """Asks hubs what a manifest does not say of its files; None where nothing is to be asked."""
    if not any(needs_asking(entry) for entry in entries):
        yield None
        return
    from comfykit.fetch.hubs.asking import asking

    with asking(guide.tokens) as ask:
        yield lambda entry: informed(entry, ask)
