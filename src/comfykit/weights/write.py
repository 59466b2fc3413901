"""Writes safetensors files tensor by tensor, so that no second copy of a model is ever in memory.

The format is described in `header.py`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from comfykit.errors import ModelFileError

_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


@dataclass(frozen=True, slots=True)
class Pending:
    """A tensor that is made when its turn to be written comes; `make` keeps to `dtype` and `shape`."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    make: Callable[[], Tensor]

    @property
    def nbytes(self) -> int:
        """Its length in the file."""
        return math.prod(self.shape) * self.dtype.itemsize


def ready(tensor: Tensor) -> Pending:
    """A tensor that is there already."""
    return Pending(tensor.dtype, tuple(tensor.shape), lambda: tensor)


def write_safetensors(
    path: Path,
    tensors: Mapping[str, Pending],
    metadata: Mapping[str, str],
    written: Callable[[int, int], None] | None = None,
) -> None:
    """Write `tensors` and `metadata` to a new file; `written` is told how many of how many tensors are there.

    Raises `ModelFileError` where the disk is full or the file cannot be made.
    """
    # The widest types first, so that every tensor begins at a multiple of its elements' size.
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    try:
        with path.open("xb") as file:
            file.write(_header(ordered, metadata))
            for number, (name, pending) in enumerate(ordered, 1):
                file.write(_bytes(name, pending))
                if written is not None:
                    written(number, len(ordered))
    except OSError as error:
        raise ModelFileError(f"{path} cannot be written: {error.strerror}", path=str(path)) from error


def _bytes(name: str, pending: Pending) -> memoryview:
    tensor = pending.make().detach().to("cpu")
    if tensor.dtype != pending.dtype or tuple(tensor.shape) != pending.shape:
        raise ValueError(f"{name} is {tensor.dtype} {tuple(tensor.shape)}, not what was announced")
    data: memoryview = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data
    return data


def _header(tensors: Iterable[tuple[str, Pending]], metadata: Mapping[str, str]) -> bytes:
    entries: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, pending in tensors:
        begin, end = end, end + pending.nbytes
        entries[name] = {
            "dtype": _NAMES[pending.dtype],
            "shape": list(pending.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
