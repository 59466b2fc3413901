"""Which packs add samplers or schedulers to ComfyUI's lists of names, read from their sources."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress

from comfykit.packs.places import Place
from comfykit.packs.scan import LARGEST, sources

_LISTS = rb"\b(?:SAMPLERS|SAMPLER_NAMES|SCHEDULERS|SCHEDULER_NAMES|SCHEDULER_HANDLERS)"
_ADDS = re.compile(
    _LISTS
    + rb"\s*(?:\.\s*(?:append|extend|insert|update)\b|\[[^\]\n]*\]\s*=[^=]|\+=)"
    + rb"|\bKSampler\s*\.\s*(?:SAMPLERS|SCHEDULERS)\s*=[^=]"
)


def packs_that_add_names(places: Iterable[Place], name: str) -> list[Place]:
    """Packs whose source adds to the lists, those that spell `name` out before the others."""
    spelled = re.compile(rb"""["'](?:sample_)?""" + re.escape(name.encode()) + rb"""["']""")
    found = []
    for place in places:
        text = _text(place)
        if _ADDS.search(text):
            found.append((spelled.search(text) is None, place))
    return [place for _, place in sorted(found, key=lambda one: one[0])]


def _text(place: Place) -> bytes:
    """All sources of a pack, one after the other."""
    texts = []
    for file in sources(place.path):
        with suppress(OSError):
            texts.append(file.read_bytes() if file.stat().st_size <= LARGEST else b"")
    return b"\n".join(texts)
