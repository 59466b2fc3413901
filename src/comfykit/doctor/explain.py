"""From what a program said when it failed to the finding that explains it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from comfykit.doctor.catalogue import Entry, catalogue, finding
from comfykit.doctor.interface import Finding, Status


def explain(message: str) -> Entry | None:
    """The kind of finding that an error message is a sign of; None where none is known."""
    return next(
        (
            entry
            for entry in catalogue().values()
            if any(pattern.search(message) for pattern in entry.patterns)
        ),
        None,
    )


def explained(messages: Iterable[str], known: Iterable[Finding]) -> Iterator[Finding]:
    """Findings for messages that no finding so far accounts for."""
    codes = {entry.code for entry in known}
    for message in messages:
        entry = explain(message)
        if entry is not None and entry.code not in codes:
            codes.add(entry.code)
            line = message.strip().splitlines()[-1][:200]
            yield finding(
                entry.code, f"{entry.title}: {line}", seen="what a program said", status=Status.FAILURE
            )
