"""A file that is wanted and lies somewhere on this machine already: found by its checksum, put in place.

Looked for in what the index knows, in the Hugging Face cache (if there is one), and among the user's
models of the same file name. It comes to its place as a reflink (a copy that shares its blocks until
one of them is written to; Btrfs, XFS), else as a hard link, else as a copy.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from comfykit.errors import Interrupted, VerificationError
from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.formats import judge_file
from comfykit.fetch.hf_cache import HfCache
from comfykit.fetch.index import HashIndex
from comfykit.home import WEIGHT_SUFFIXES, Home, files_below

_BLOCK_BYTES = 1024 * 1024
_FICLONE = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)
_UNLINKABLE = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES})


@dataclass(frozen=True, slots=True)
class Copy:
    """A file with the bytes that are wanted; `place` says for a person where it lies."""

    path: Path
    sha256: str
    size: int
    place: str


def find_copy(
    entry: ManifestEntry, home: Home, index: HashIndex, cache: HfCache | None = None
) -> Copy | None:
    """A file with an entry's checksum, or (without one) the cache's file of the same address.

    Only files that may well be it are read: those that have the entry's file name.
    """
    if entry.sha256 is None:
        return _cached_by_address(entry, cache) if cache else None
    for path in index.holding(entry.sha256):
        if path.is_file():
            return _copy(path, entry.sha256, _place(path, home))
    cached = cache.by_sha256(entry.sha256) if cache else None
    if cached is not None:
        return _copy(cached.path, entry.sha256, f"the Hugging Face cache ({cached.repo})")
    for path in models_of(home):
        if path.name.casefold() == entry.target.name.casefold():
            try:
                if index.sha256(path) == entry.sha256:
                    return _copy(path, entry.sha256, _place(path, home))
            except OSError:  # gone, or not ours to read
                continue
    return None


def models_of(home: Home) -> Iterator[Path]:
    """Every weights file below the home's `models/` and the user's further folders."""
    for folder in (home.models, *(folder for folders in home.extra.values() for folder in folders)):
        for path in files_below(folder):
            if path.suffix.lower() in WEIGHT_SUFFIXES:
                yield path


def adopt(
    copy: Copy,
    target: Path,
    index: HashIndex,
    *,
    advance: Callable[[int], object] = lambda done: None,
    cancel: threading.Event | None = None,
) -> str:
    """Put a copy under its name, whole or not at all; how that was done, as a word for a person.

    The bytes are hashed first, unless the index knows them, or while they are copied; `advance` is told
    how many were read so far. Raises `VerificationError` where they are not those that the copy was
    taken for, and `OSError` where the disk refuses.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.copy")
    try:
        how = _share(copy.path, beside)
        if how is None:
            how, sha256 = "copied", _read_through(copy.path, beside, advance, cancel)
        else:
            counted = _Counted(advance)
            sha256 = index.sha256(copy.path, advance=counted, cancel=cancel)
        wrong = judge_file(beside, target.name) if sha256 == copy.sha256 else None
        if sha256 != copy.sha256 or wrong:
            told = wrong or f"it has sha-256 {sha256}, not {copy.sha256}"
            raise VerificationError(f"{copy.path} is not the file that its name says: {told}")
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    _sync_folder(target.parent)
    index.remember(target, sha256)
    return how


class _Counted:
    """Adds up blocks, as progress is told in bytes so far."""

    def __init__(self, advance: Callable[[int], object]) -> None:
        self._advance = advance
        self._done = 0

    def __call__(self, count: int) -> None:
        self._done += count
        self._advance(self._done)


def _share(source: Path, beside: Path) -> str | None:
    """Make `beside` the same bytes without copying them; None where the file system cannot."""
    if _reflink(source, beside):
        return "reflinked"
    try:
        os.link(source, beside)
    except OSError as error:
        if error.errno in _UNLINKABLE:
            return None
        raise
    return "hard-linked"


def _reflink(source: Path, beside: Path) -> bool:
    with source.open("rb") as old, beside.open("xb") as new:
        try:
            fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
        except OSError:  # another disk, or a file system without reflinks
            beside.unlink()
            return False
        os.fsync(new.fileno())
    return True


def _read_through(
    source: Path, beside: Path, advance: Callable[[int], object], cancel: threading.Event | None
) -> str:
    """Copy and hash in one go."""
    digest, done = hashlib.sha256(), 0
    block = memoryview(bytearray(_BLOCK_BYTES))
    with source.open("rb", buffering=0) as old, beside.open("xb", buffering=0) as new:
        while count := old.readinto(block):
            if cancel is not None and cancel.is_set():
                raise Interrupted("interrupted")
            digest.update(block[:count])
            written = 0
            while written < count:
                written += new.write(block[written:count])
            done += count
            advance(done)
        os.fsync(new.fileno())
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cached_by_address(entry: ManifestEntry, cache: HfCache) -> Copy | None:
    for url in entry.urls:
        cached = cache.by_url(url)
        if cached is not None:
            return _copy(cached.path, cached.sha256, f"the Hugging Face cache ({cached.repo})")
    return None


def _copy(path: Path, sha256: str, place: str) -> Copy:
    return Copy(path, sha256, path.stat().st_size, place)


def _place(path: Path, home: Home) -> str:
    return str(path.relative_to(home.root)) if path.is_relative_to(home.root) else str(path)
