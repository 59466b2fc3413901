"""Custom-node packs import."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.catalogue import finding
from comfykit.doctor.explain import explain
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding


def check(facts: Facts) -> Iterator[Finding]:
    """Name the packs that do not import, with what explains it."""
    for pack in facts.packs:
        cause = explain(pack.error)
        hint = f"{cause.title} ({cause.code}): {cause.fix}" if cause else pack.hint
        yield finding("CK811", f"{pack.name} does not import: {pack.error}", hint=hint)
