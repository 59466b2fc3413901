"""Unpacking a zip: everything in it is judged before anything is written.

An archive holds one pack, at its top or in a single folder there, as GitHub's archives have it. What is
kept of it are files, their executable bits, and links that stay inside.
"""

from __future__ import annotations

import errno
import os
import struct
import time
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from comfykit.errors import PackError
from comfykit.packs.entries import Entry, judge, names_of_links
from comfykit.packs.limits import MIB, USUAL, PackLimits

_BROKEN = (  # what the zip reader raises at broken bytes
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    struct.error,
    ValueError,
    OverflowError,
    NotImplementedError,  # a version of the format, or a method of packing, that it does not know
)

_BLOCK = 256 * 1024
_END = b"PK\x05\x06"
_END_BYTES, _LONGEST_COMMENT = 22, 65535
_END64, _END64_LOCATOR, _LOCATOR_BYTES = b"PK\x06\x06", b"PK\x06\x07", 20


def unpack(archive: Path, into: Path, what: str, limits: PackLimits = USUAL) -> Path:
    """Unpack a zip into `into`, which must not be there; the folder of the pack in it.

    `what` is what a person calls the archive. Raises `PackError` for one that is damaged, encrypted, too
    large, or holds anything that a pack may not have; what was written then is for the caller to remove.
    """
    try:
        with archive.open("rb") as file:
            _check_index(file, what, limits)
            with zipfile.ZipFile(file) as opened:
                entries = judge(opened.infolist(), what, limits)
                links = names_of_links(entries, lambda entry: _small(opened, entry, what), what)
                _write(opened, entries, into, what, limits)
                for name, target in links.items():
                    place = into / name
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.symlink_to(target)
    except _BROKEN as error:
        raise PackError(
            f"{what} is no zip archive, or it is damaged or cut off ({error})", hint="fetch it again"
        ) from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # a place before the archive's start
            raise PackError(f"{what} is damaged or cut off", hint="fetch it again") from error
        raise PackError(f"{what} cannot be unpacked ({error.strerror or error})") from error
    return _top(into)


def _check_index(file: BinaryIO, what: str, limits: PackLimits) -> None:
    """Refuse a list of files that would fill the memory when it is read (APPNOTE 4.3.12 to 4.3.16)."""
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - _END_BYTES - _LONGEST_COMMENT - _LOCATOR_BYTES)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_BYTES:
        raise PackError(f"{what} is no zip archive, or it was cut off", hint="fetch it again")
    (index_bytes,) = struct.unpack_from("<L", tail, at + 12)
    locator = at - _LOCATOR_BYTES
    if locator >= 0 and tail.startswith(_END64_LOCATOR, locator):
        (offset,) = struct.unpack_from("<Q", tail, locator + 8)
        if offset > size:
            raise PackError(f"{what} is no zip archive, or it was cut off", hint="fetch it again")
        file.seek(offset)
        record = file.read(56)
        if not record.startswith(_END64) or len(record) < 56:
            raise PackError(f"{what} is a zip archive with a broken list of files")
        (index_bytes,) = struct.unpack_from("<Q", record, 40)
    if index_bytes > limits.index_bytes:
        raise PackError(f"{what} lists more files than a pack may have ({limits.files})")
    file.seek(0)


def _write(
    opened: zipfile.ZipFile, entries: Sequence[Entry], into: Path, what: str, limits: PackLimits
) -> None:
    """Write the files, counting what really comes: sizes in an archive are only said."""
    allowed = limits.bytes
    deadline = time.monotonic() + limits.unpack_seconds
    into.mkdir(parents=True)
    packed = sum(entry.info.compress_size for entry in entries)
    if packed * limits.ratio < allowed:
        allowed = min(allowed, max(limits.free_bytes, packed * limits.ratio))
    for entry in entries:
        if entry.is_link:
            continue
        place = into / entry.name
        place.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(entry.info) as source, place.open("xb") as target:
            while block := source.read(_BLOCK):
                allowed -= len(block)
                if allowed < 0:
                    raise PackError(
                        f"{what} unpacks to far more than a pack has: a bomb, or a mistake",
                        hint="unpack it yourself and give the folder, if you trust it",
                    )
                if time.monotonic() > deadline:
                    raise PackError(f"{what} did not unpack within {limits.unpack_seconds:g} s")
                target.write(block)
        place.chmod(0o755 if entry.is_executable else 0o644)


def _small(opened: zipfile.ZipFile, entry: Entry, what: str) -> str:
    """The target of a link."""
    if entry.info.file_size > 1024:
        raise PackError(f"{what} holds a link that cannot be one: {entry.name!r}")
    with opened.open(entry.info) as source:
        data = source.read(1025)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise PackError(f"{what} holds a link to no name: {entry.name!r}") from error


def _top(into: Path) -> Path:
    """The pack's folder: the only one at the top, or the top."""
    inside = list(into.iterdir()) if into.is_dir() else []
    if len(inside) == 1 and inside[0].is_dir() and not inside[0].is_symlink():
        return inside[0]
    return into


def check_size(size: int, what: str, limits: PackLimits = USUAL) -> None:
    """Refuse an archive that is too large to be a pack."""
    if size > limits.archive_bytes:
        raise PackError(f"{what} has more than {limits.archive_bytes // MIB} MiB, which is no pack")
