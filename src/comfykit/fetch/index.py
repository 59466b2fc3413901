"""Hashes of files that were read before, so that nobody reads gigabytes twice.

A hash is kept with the file's size, modification time and inode, and believed while all three are the
same: changing a file's bytes changes at least one of them, unless somebody sets the clock back on
purpose or the disk itself errs. `comfykit models verify --again` reads every byte for those two.
The index is a cache: a home that cannot be written has none, and nothing but time is lost.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from comfykit.errors import Interrupted
from comfykit.fetch.state_file import changing, read_state, state_path
from comfykit.home import Home

NAME = "hashes.json"
_BLOCK_BYTES = 1024 * 1024


def hash_file(
    path: Path,
    *,
    advance: Callable[[int], object] = lambda count: None,
    cancel: threading.Event | None = None,
) -> str:
    """SHA-256 of a file in hexadecimal; `advance` is told of every block's bytes.

    Raises `Interrupted` once `cancel` is set and `OSError` where the file cannot be read.
    """
    digest = hashlib.sha256()
    block = memoryview(bytearray(_BLOCK_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(block):
            if cancel is not None and cancel.is_set():
                raise Interrupted("interrupted")
            digest.update(block[:count])
            advance(count)
    return digest.hexdigest()


class HashIndex:
    """Hashes by file; used from several threads. `save` joins what is new into the file on the disk.

    Paths below `root` are kept relative to it, so that a home may be moved within its disk.
    """

    def __init__(self, path: Path | None = None, root: Path | None = None) -> None:
        self._path = path
        self._root = root
        self._lock = threading.Lock()
        self._entries = read_state(path) if path else {}
        self._new: dict[str, dict[str, Any]] = {}

    def known(self, path: Path) -> str | None:
        """The hash of a file, if it was read before and is unchanged since."""
        with self._lock:
            entry = self._entries.get(self._key(path))
        if entry is None or not isinstance(entry.get("sha256"), str):
            return None
        try:
            stamp = _stamp(path.stat())
        except OSError:
            return None
        return entry["sha256"] if stamp.items() <= entry.items() else None

    def sha256(
        self,
        path: Path,
        *,
        advance: Callable[[int], object] = lambda count: None,
        cancel: threading.Event | None = None,
        again: bool = False,
    ) -> str:
        """The hash of a file: the known one, or by reading it; `again` reads it in any case."""
        known = None if again else self.known(path)
        if known is not None:
            advance(path.stat().st_size)
            return known
        before = _stamp(path.stat())
        sha256 = hash_file(path, advance=advance, cancel=cancel)
        if _stamp(path.stat()) == before:  # else somebody wrote to it meanwhile
            self._put(path, {**before, "sha256": sha256})
        return sha256

    def remember(self, path: Path, sha256: str) -> None:
        """Keep a hash that is known because the file was just written."""
        with suppress(OSError):
            self._put(path, {**_stamp(path.stat()), "sha256": sha256})

    def holding(self, sha256: str) -> list[Path]:
        """Files that are known to have a hash and are unchanged since."""
        with self._lock:
            keys = [key for key, entry in self._entries.items() if entry.get("sha256") == sha256]
        return [path for path in map(self._from_key, keys) if self.known(path) == sha256]

    def save(self) -> None:
        """Write what is new, beside what other processes wrote; says nothing where that cannot be."""
        with self._lock:
            new, self._new = self._new, {}
        if not (new and self._path and self._root and self._root.is_dir()):
            return
        with suppress(OSError), changing(self._path) as entries:
            entries.update(new)

    def forget_missing(self) -> int:
        """Drop the files that are gone from the index on the disk; how many there were."""
        if self._path is None or not self._path.is_file():
            return 0
        with changing(self._path) as entries:
            gone = [key for key in entries if not self._from_key(key).exists()]
            for key in gone:
                del entries[key]
        with self._lock:
            for key in gone:
                self._entries.pop(key, None)
        return len(gone)

    def _put(self, path: Path, entry: dict[str, Any]) -> None:
        with self._lock:
            self._entries[self._key(path)] = self._new[self._key(path)] = entry

    def _key(self, path: Path) -> str:
        absolute = os.path.abspath(path)  # noqa: PTH100  (links stay: the stamp is of what they lead to)
        if self._root is not None and Path(absolute).is_relative_to(self._root):
            return Path(absolute).relative_to(self._root).as_posix()
        return absolute

    def _from_key(self, key: str) -> Path:
        return Path(key) if self._root is None else self._root / key


def open_index(home: Home) -> HashIndex:
    """The index of a home; nothing is created before something is worth keeping."""
    return HashIndex(state_path(home, NAME), home.root)


def _stamp(status: os.stat_result) -> dict[str, int]:
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "inode": status.st_ino}
