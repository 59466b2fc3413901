"""Texts in EXIF data, which is where WebP and JPEG pictures carry a workflow.

ComfyUI writes `prompt:{...}` into the tag Model and `workflow:{...}` into Make; savers of packs use other
tags too (ImageDescription, UserComment), or a space after the colon, so every text is looked at. EXIF data
is a TIFF file (TIFF 6.0, section 2): a header and directories of entries.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

_EXIF_DIRECTORY = 0x8769
_ASCII, _BYTE, _UNDEFINED = 2, 1, 7
_MARK = b"Exif\0\0"
_LABEL = re.compile(r"\s*(prompt|workflow)\s*:\s*(?=[{\[])", re.IGNORECASE)
MOST_ENTRIES = 1000


def workflow_texts(data: bytes) -> dict[str, str]:
    """JSON texts by what they are: `prompt`, `workflow`, or `both` for one without a label.

    Data that is no EXIF, or is damaged, holds none.
    """
    found: dict[str, str] = {}
    for text in texts(data):
        label = _LABEL.match(text)
        if label is not None:
            found.setdefault(label[1].lower(), text[label.end() :])
        elif text.lstrip().startswith("{"):
            found.setdefault("both", text)
    return found


def texts(data: bytes) -> Iterator[str]:
    """Every text of the first directory and of the one with what the camera says."""
    data = data.removeprefix(_MARK)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return
    waiting, seen = [_number(data, 4, order)], set()
    while waiting:
        start = waiting.pop()
        if start is None or start in seen:
            continue
        seen.add(start)
        for tag, kind, value in _entries(data, start, order):
            if tag == _EXIF_DIRECTORY:
                waiting.append(_number(value, 0, order))
            elif kind in (_ASCII, _BYTE, _UNDEFINED) and len(value) > 4:
                yield _text(value)


def _entries(data: bytes, start: int, order: str) -> Iterator[tuple[int, int, bytes]]:
    """(tag, type, bytes) of the entries of a directory that are texts or lead to another directory."""
    (count,) = struct.unpack_from(f"{order}H", data, start) if start + 2 <= len(data) else (0,)
    for index in range(min(count, MOST_ENTRIES)):
        place = start + 2 + 12 * index
        if place + 12 > len(data):
            return
        tag, kind, length, offset = struct.unpack_from(f"{order}HHII", data, place)
        size = length if kind in (_ASCII, _BYTE, _UNDEFINED) else 4
        begin = place + 8 if size <= 4 else offset
        yield tag, kind, data[begin : begin + size]


def _number(data: bytes, place: int, order: str) -> int | None:
    return struct.unpack_from(f"{order}I", data, place)[0] if place + 4 <= len(data) else None


def _text(value: bytes) -> str:
    """A text; UserComment names its encoding in its first eight bytes (Exif 2.32, section 4.6.5).

    UTF-16 is written in either byte order, whatever that of the file; JSON begins with an ASCII character.
    """
    if value.startswith(b"UNICODE\0"):
        body = value[8:]
        return body.decode("utf-16-be" if body.startswith(b"\0") else "utf-16-le", "replace").rstrip("\0")
    for mark in (b"ASCII\0\0\0", b"\0" * 8):
        value = value.removeprefix(mark)
    return value.rstrip(b"\0").decode("utf-8", "replace")
