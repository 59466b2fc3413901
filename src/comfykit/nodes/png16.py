"""PNG files of 16 bits a channel, which Pillow writes of grey pictures only.

Portable Network Graphics (PNG) Specification, third edition, sections 5, 7.2 and 11.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from comfykit.errors import UsageError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOR_TYPES = {1: 0, 3: 2, 4: 6}  # of channels: grey, RGB, RGB with alpha


def write_png16(image: Tensor, path: Path, texts: Mapping[str, str], compress_level: int) -> None:
    """Write a tensor [height, width, 1, 3 or 4] in 0 to 1, rounded to the nearest of 65,536 values.

    Texts are ASCII; each becomes a tEXt chunk.
    """
    height, width, channels = image.shape
    if channels not in _COLOR_TYPES:
        raise UsageError(
            f"a tensor of shape {list(image.shape)} is no picture",
            hint="pictures have [height, width, channels] with 1, 3 or 4 channels",
        )
    values = image.detach().to("cpu").double().nan_to_num(0.0).clamp(0.0, 1.0).mul(65535.0).round().numpy()
    rows = values.astype(">u2").reshape(height, -1).view(np.uint8)
    filtered = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)  # 0: no filter
    head = struct.pack(">IIBBBBB", width, height, 16, _COLOR_TYPES[channels], 0, 0, 0)
    chunks = [_chunk(b"IHDR", head)]
    chunks += [_chunk(b"tEXt", f"{name}\0{said}".encode("latin-1")) for name, said in texts.items()]
    chunks += [_chunk(b"IDAT", zlib.compress(filtered.tobytes(), compress_level)), _chunk(b"IEND", b"")]
    path.write_bytes(_SIGNATURE + b"".join(chunks))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
