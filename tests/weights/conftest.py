"""Small weights files, whole and broken."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

WriteRaw = Callable[..., Path]


@pytest.fixture
def write_raw(tmp_path: Path) -> WriteRaw:
    """Writes a safetensors file byte by byte: `header` as text or as a value, then `data`."""

    def write(
        header: object, data: bytes = b"", *, length: int | None = None, name: str = "x.safetensors"
    ) -> Path:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        path = tmp_path / name
        path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
        return path

    return write
