"""Workflow files in the making: a sample in API form, and PNGs put together chunk by chunk."""

from __future__ import annotations

import struct
import zlib
from typing import Any

PNG_START = b"\x89PNG\r\n\x1a\n"


def sample() -> dict[str, dict[str, Any]]:
    """Three nodes: one with a title that is its class, one whose title has a dot, one without a title."""
    return {
        "3": {
            "class_type": "KSampler",
            "inputs": {"model": ["4", 0], "seed": 7, "steps": 20, "cfg": 6.5, "sampler_name": "euler"},
            "_meta": {"title": "KSampler"},
        },
        "6": {
            "class_type": "CLIPTextEncode",
            "inputs": {"text": "a fox", "clip": ["4", 1]},
            "_meta": {"title": "Prompt (v1.5)"},
        },
        "7": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x"}},
    }


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def text(keyword: str, value: str) -> bytes:
    """A tEXt chunk."""
    return chunk(b"tEXt", keyword.encode() + b"\0" + value.encode("latin-1"))


def png(*before: bytes, after: bytes = b"") -> bytes:
    """A PNG of one black pixel, with chunks before and after its pixel."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    pixel = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"".join((PNG_START, header, *before, pixel, after, chunk(b"IEND", b"")))
