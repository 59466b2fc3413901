"""How large files are that nobody has said the size of: one small request for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from comfykit.errors import FetchError
from comfykit.fetch.hubs import is_pinned
from comfykit.fetch.limits import Limits
from comfykit.services.plan_models import Step

# A plan is not worth waiting longer for: what has not answered by then is of unknown size.
_LIMITS = Limits(connect_seconds=3.0, answer_seconds=4.0, silence_seconds=4.0)


@contextmanager
def open_sizes() -> Iterator[Callable[[Step], int | None]]:
    """What asks a step's sources for its size, in turn; None where none of them says it."""
    from comfykit.fetch.proxied import open_wire  # brings TLS along, which most plans do not need
    from comfykit.fetch.resolve import resolve

    with closing(open_wire(_LIMITS)) as wire:

        def ask(step: Step) -> int | None:
            for source in step.sources:
                if not is_pinned(source.url):
                    continue  # the page of a model: its size is not that of a file
                try:
                    identity = resolve(wire, source).identity
                except (FetchError, OSError):
                    continue
                size = identity.announced_size if identity.size is None else identity.size
                if size is not None:
                    return size
            return None

        yield ask
