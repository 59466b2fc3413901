"""The texts with workflows that pictures carry, by the kind of picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO

from comfykit.errors import WorkflowError
from comfykit.workflow import exif, jpeg, png, webp

KEYS = ("prompt", "workflow")
_OTHERS = {b"GIF8": "GIF", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}


def read_texts(stream: BinaryIO, name: str) -> tuple[bytes, Mapping[str, str] | None]:
    """The bytes that tell what kind of file it is, and the JSON texts of a picture, None if it is none.

    Keys are `prompt`, `workflow`, and `both` for a text without a label. Raises `WorkflowError` for a picture
    that is damaged, or of a kind that carries no workflow.
    """
    head = stream.read(len(jpeg.SIGNATURE))
    if head == jpeg.SIGNATURE:
        return head, exif.workflow_texts(jpeg.read_exif(stream, name))
    head += stream.read(len(png.SIGNATURE) - len(head))
    if head == png.SIGNATURE:
        return head, png.read_texts(stream, name, KEYS)
    head += stream.read(webp.HEAD - len(head))
    if webp.is_webp(head):
        return head, exif.workflow_texts(webp.read_exif(stream, int.from_bytes(head[4:8], "little"), name))
    for start, kind in _OTHERS.items():
        if head.startswith(start):
            raise WorkflowError(
                f"{name}: a {kind}; of pictures only PNG, WebP and JPEG are read",
                hint="ask for the original file or for the workflow as JSON",
            )
    return head, None
