"""What is noted of files as they come: their hashes, and where they came from."""

from __future__ import annotations

import threading
import time
from pathlib import PurePosixPath

from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.index import HashIndex
from comfykit.fetch.provenance import Provenance, provenance_of, record_provenance
from comfykit.home import Home

# Hundreds of small files may come in a second, and each note rewrites a file.
_WRITE_SECONDS = 1.0


class Arrivals:
    """Collects notes from several threads, and writes them about once a second; `write` at the end.

    A process that is killed loses a second of notes and no file: what is not noted is hashed again.
    """

    def __init__(self, home: Home, index: HashIndex) -> None:
        self._home = home
        self._index = index
        self._lock = threading.Lock()
        self._waiting: dict[PurePosixPath, Provenance] = {}
        self._written = time.monotonic()

    def add(self, entry: ManifestEntry, size: int, sha256: str | None) -> None:
        """Note a file that is in place now; `sha256` where its bytes were hashed on their way."""
        if sha256 is not None:
            self._index.remember(self._home.models / entry.target, sha256)
        with self._lock:
            self._waiting[entry.target] = provenance_of(entry, size, sha256)
            due = time.monotonic() - self._written >= _WRITE_SECONDS
        if due:
            self.write()

    def write(self) -> None:
        """Put down what is waiting."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
            self._written = time.monotonic()
        record_provenance(self._home, waiting)
        self._index.save()
