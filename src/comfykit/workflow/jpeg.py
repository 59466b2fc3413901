"""The EXIF segment of a JPEG (ITU-T T.81, annex B; Exif 2.32, section 4.7), without decoding its pixels."""

from __future__ import annotations

from typing import BinaryIO

from comfykit.workflow.streams import exactly, skip

SIGNATURE = b"\xff\xd8\xff"
_EXIF = b"Exif\0\0"
_APP1, _START_OF_SCAN, _END = 0xE1, 0xDA, 0xD9


def read_exif(stream: BinaryIO, name: str) -> bytes:
    """EXIF data, empty without any; `stream` stands behind the first marker byte that follows the start.

    Raises `WorkflowError` for a file that is cut off.
    """
    while True:
        marker = exactly(stream, 1, name, "JPEG")[0]
        while marker == 0xFF:  # fill bytes
            marker = exactly(stream, 1, name, "JPEG")[0]
        if marker in (_START_OF_SCAN, _END):
            return b""
        length = max(0, int.from_bytes(exactly(stream, 2, name, "JPEG"), "big") - 2)
        if marker == _APP1:
            data = exactly(stream, length, name, "JPEG")
            if data.startswith(_EXIF):
                return data
        else:
            skip(stream, length)
        exactly(stream, 1, name, "JPEG")
