"""The EXIF chunk of a WebP (WebP Container Specification), animated or not, without decoding its pixels."""

from __future__ import annotations

from typing import BinaryIO

from comfykit.errors import WorkflowError
from comfykit.workflow.streams import exactly, skip
from comfykit.workflow.strict_json import MAX_BYTES

SIGNATURE = b"RIFF"
HEAD = 12


def is_webp(head: bytes) -> bool:
    """Whether the first `HEAD` bytes of a file are those of a WebP."""
    return head.startswith(SIGNATURE) and head[8:12] == b"WEBP"


def read_exif(stream: BinaryIO, size: int, name: str) -> bytes:
    """EXIF data, empty without any; `stream` stands behind the head, `size` is what they say.

    Raises `WorkflowError` for a file that is cut off and for data that is too large.
    """
    left = size - 4
    while left >= 8:
        kind = exactly(stream, 4, name, "WebP")
        length = int.from_bytes(exactly(stream, 4, name, "WebP"), "little")
        padded = length + length % 2
        left -= 8 + padded
        if kind == b"EXIF":
            if length > MAX_BYTES:
                raise WorkflowError(f"{name}: a text in the picture is larger than {MAX_BYTES // 2**20} MiB")
            return exactly(stream, length, name, "WebP")
        skip(stream, padded)
    return b""
