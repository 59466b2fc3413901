"""Small JSON files in which several processes keep what they know, below the home's `.comfykit/`.

A reader sees a whole file, since a writer replaces it by a rename; writers wait for one another at a
lock beside it. What cannot be read (torn, foreign, of a newer version) counts as empty: nothing that
is kept here can be lost for good.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from comfykit.home import Home

FOLDER = ".comfykit"
_VERSION = 1
_MAX_BYTES = 256 * 1024 * 1024


def state_path(home: Home, name: str) -> Path:
    """Where a state file of a home lies; it need not exist."""
    return home.root / FOLDER / name


def read_state(path: Path) -> dict[str, dict[str, Any]]:
    """The entries of a state file by their keys; empty where it cannot be used."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            return {}
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(document, dict) or document.get("version") != _VERSION:
        return {}
    entries = document.get("entries")
    if not isinstance(entries, dict):
        return {}
    return {key: entry for key, entry in entries.items() if isinstance(entry, dict)}


@contextmanager
def changing(path: Path) -> Iterator[dict[str, dict[str, Any]]]:
    """The entries of a state file, to be changed in place; written at the end of the block.

    Raises `OSError` where the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.with_name(f"{path.name}.lock")):
        entries = read_state(path)
        before = json.dumps(entries, sort_keys=True)
        yield entries
        if json.dumps(entries, sort_keys=True) != before or not path.exists():
            _write(path, {"version": _VERSION, "entries": entries})


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        with suppress(OSError):  # a file system without locks: the rename still keeps the file whole
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, document: dict[str, Any]) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1, sort_keys=True)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
