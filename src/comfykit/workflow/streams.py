"""Reading pieces of a file, which may be a pipe, without holding all of it."""

from __future__ import annotations

import io
from typing import BinaryIO

from comfykit.errors import WorkflowError

_PIECE = 1 << 20


def exactly(stream: BinaryIO, count: int, name: str, kind: str) -> bytes:
    """The next `count` bytes; raises `WorkflowError` where the file, a `kind`, ends before."""
    data = stream.read(count)
    if len(data) < count:
        raise WorkflowError(f"{name}: the {kind} is cut off", hint="download or save it again")
    return data


def skip(stream: BinaryIO, count: int) -> None:
    """Pass over bytes; where the file ends before, the next read says so."""
    if stream.seekable():
        stream.seek(count, io.SEEK_CUR)
        return
    while count > 0 and (piece := stream.read(min(count, _PIECE))):
        count -= len(piece)
