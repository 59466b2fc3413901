"""Text chunks of a PNG (PNG specification, third edition, section 11.3.3), without decoding its pixels.

The pixels are passed over, so a picture of any size is read in no time and cannot be a bomb. ComfyUI writes
the texts of animated PNGs into chunks of its own kind, `comf`, which are laid out as `tEXt` is.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection
from typing import BinaryIO

from comfykit.errors import WorkflowError
from comfykit.workflow.streams import exactly, skip
from comfykit.workflow.strict_json import MAX_BYTES

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"comf")


def read_texts(stream: BinaryIO, name: str, wanted: Collection[str]) -> dict[str, str]:
    """Texts of the keywords in `wanted`, the first of each; `stream` stands behind the signature.

    Raises `WorkflowError` for a file that is cut off, or a text that is damaged or too large.
    """
    found: dict[str, str] = {}
    while len(found) < len(wanted):
        length = int.from_bytes(exactly(stream, 4, name, "PNG"), "big")
        kind = exactly(stream, 4, name, "PNG")
        if kind == b"IEND":
            break
        if kind not in _TEXT_CHUNKS:
            skip(stream, length + 4)
            continue
        if length > MAX_BYTES:
            raise WorkflowError(f"{name}: a text in the picture is larger than {MAX_BYTES // 2**20} MiB")
        data = exactly(stream, length, name, "PNG")
        checksum = int.from_bytes(exactly(stream, 4, name, "PNG"), "big")
        keyword = data.split(b"\0", 1)[0].decode("latin-1")
        if keyword in wanted and keyword not in found:
            if zlib.crc32(data, zlib.crc32(kind)) != checksum:
                raise WorkflowError(f"{name}: the picture's {keyword!r} is damaged (its checksum differs)")
            found[keyword] = _text(kind, data, name)
    return found


def _text(kind: bytes, data: bytes, name: str) -> str:
    _, _, rest = data.partition(b"\0")
    if kind in (b"tEXt", b"comf"):
        return _lenient(rest)
    if kind == b"zTXt":  # one byte: the compression method, always 0
        return _lenient(_inflate(rest[1:], name))
    compressed = rest[:1] == b"\x01"
    *_, body = rest[2:].split(b"\0", 2)  # language, translated keyword, text
    return (_inflate(body, name) if compressed else body).decode("utf-8", "replace")


def _lenient(data: bytes) -> str:
    """tEXt and zTXt are Latin-1 by the specification; some programs write UTF-8 all the same."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _inflate(data: bytes, name: str) -> bytes:
    engine = zlib.decompressobj()
    try:
        text = engine.decompress(data, MAX_BYTES + 1)
    except zlib.error as error:
        raise WorkflowError(f"{name}: a text in the picture cannot be unpacked ({error})") from error
    if len(text) > MAX_BYTES:
        raise WorkflowError(f"{name}: a text in the picture is larger than {MAX_BYTES // 2**20} MiB")
    return text
