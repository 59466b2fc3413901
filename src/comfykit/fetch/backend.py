"""What every way to bring bytes onto the disk offers: `engine` (ours) and `aria2`.

A backend fills the partial file and says what it brought. It does not verify checksums, rename or
remove anything: `transfer` does, for all backends alike.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol

from comfykit.events import Reporter
from comfykit.fetch.partial import Partial
from comfykit.fetch.source import NOTHING_KNOWN, Expected, Source


@dataclass(frozen=True, slots=True)
class Job:
    """One file to bring. `name` is its path as people see it, `sources` the order to try.

    The end of `name` decides by which format the first bytes are judged.
    """

    name: str
    sources: tuple[Source, ...]
    expected: Expected = NOTHING_KNOWN


@dataclass(frozen=True, slots=True)
class Received:
    """A complete partial file.

    `sha256` is None where the backend did not compute it. `sources` are all that bytes came from, the
    last one first; more than one only where `Job.expected` or `announced` has a checksum. `announced` is
    what servers said of the file while it came. `fetched` counts the bytes of this time, without those
    that were there from before.
    """

    size: int
    sha256: str | None
    sources: tuple[Source, ...]
    announced: Expected = NOTHING_KNOWN
    fetched: int = 0
    note: str = ""


class Backend(Protocol):
    """Fills partial files; used from several threads at once."""

    @property
    def name(self) -> str:
        """What the setting `backend` calls it."""

    def receive(self, job: Job, partial: Partial, cancel: threading.Event, report: Reporter) -> Received:
        """Bring all bytes of a file into `partial`, going on from what its journal says is there.

        Reports `TransferStarted` (again when another source takes over), `TransferAdvanced` and `Warned`;
        not `TransferEnded`. Raises `TransferError` when no source gives the bytes, `VerificationError` when
        what comes cannot be the file, `OSError` when the disk does not take them, and `Interrupted` soon
        after `cancel` is set. What is worth resuming stays in the partial and its journal.
        """

    def close(self) -> None:
        """End connections and processes."""
