"""The header of a safetensors file: every tensor's name, type, shape and place, without the tensors.

Format: 8 bytes, the length N of the header (unsigned, little endian); N bytes of JSON, an object that
maps names to `{"dtype", "shape", "data_offsets": [begin, end]}` and `__metadata__` to strings; then the
tensors, back to back. Files come from strangers: all of it is checked before anybody maps it, and
nothing is allocated from a number in the file before it was compared with the file's size.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from comfykit.errors import ModelFileError
from comfykit.weights.magic import refuse, sniff

MAX_HEADER_BYTES = 100_000_000
MAX_TENSORS = 100_000
MAX_DIMENSIONS = 16

_LENGTH_BYTES = 8
_METADATA = "__metadata__"
_AGAIN = "delete it and fetch it again"
_MAX_SIGNED = 2**63 - 1

# Bits of an element.
DTYPE_BITS: Mapping[str, int] = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor of a file; `offsets` are its first byte and the one past its last, from `data_start`."""

    dtype: str
    shape: tuple[int, ...]
    offsets: tuple[int, int]


@dataclass(frozen=True, slots=True)
class SafetensorsHeader:
    """What a safetensors file holds; `data_start` is the byte of the file at which the tensors begin."""

    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]
    data_start: int

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor by name."""
        return {name: info.shape for name, info in self.tensors.items()}


def read_header(path: Path) -> SafetensorsHeader:
    """Read and check the header of the safetensors file at `path`.

    Raises `ModelFileError` that says what is wrong: not such a file, cut off, or broken.
    """
    magic = sniff(path)
    if magic not in ("safetensors", "unknown"):
        raise refuse(path, magic)
    size = path.stat().st_size
    text = _read_text(path, size)
    entries = _parse(path, text)
    metadata = _metadata(path, entries.pop(_METADATA, {}))
    tensors = {name: _tensor(path, name, entry) for name, entry in entries.items()}
    data_start = _LENGTH_BYTES + len(text)
    _check_coverage(path, tensors, size, data_start)
    return SafetensorsHeader(tensors, metadata, data_start)


def _read_text(path: Path, size: int) -> bytes:
    """The bytes of the JSON, once its length was found to be possible."""
    if size < _LENGTH_BYTES + 2:
        _broken(path, f"it is cut off: {size} bytes are too few for a header", size=size)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if length > MAX_HEADER_BYTES:
            _broken(path, "it is no safetensors file: its header would be larger than 100 MB", length=length)
        if length > size - _LENGTH_BYTES:
            _broken(path, f"it is cut off inside its header: {size} of more than {length} bytes", size=size)
        text = file.read(length)
    if not text.startswith(b"{"):
        raise refuse(path, "unknown")
    # No tensor is described without an object of its own: counting braces bounds what parsing builds.
    if text.count(b"{") > MAX_TENSORS + 2:
        _broken(path, f"its header lists more than {MAX_TENSORS} tensors")
    return text


def _parse(path: Path, text: bytes) -> dict[str, object]:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = {}
        for name, value in pairs:
            if name in found:
                _broken(path, f"its header has {name!r} twice", name=name)
            found[name] = value
        return found

    def no_constant(literal: str) -> NoReturn:
        raise ValueError(f"{literal} is no JSON")

    try:
        entries = json.loads(text.decode("utf-8"), object_pairs_hook=unique, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, nested without end
        reason = "it nests too deep" if isinstance(error, RecursionError) else str(error)[:100]
        raise _error(path, f"its header cannot be read ({reason})") from error
    if not isinstance(entries, dict):
        _broken(path, "its header is no JSON object")
    return entries


def _metadata(path: Path, value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        _broken(path, "its metadata is no JSON object")
    for name, text in value.items():
        if not isinstance(text, str):
            _broken(path, f"its metadata {name[:60]!r} is no string", name=name)
    return value


def _tensor(path: Path, name: str, entry: object) -> TensorInfo:
    """The description of one tensor, with its length in agreement with its shape and type."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        _broken(path, f"tensor {name!r} is not described by dtype, shape and data_offsets", name=name)
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BITS:
        _broken(path, f"tensor {name!r} has the unknown type {str(dtype)[:40]!r}", name=name)
    if not _are_sizes(shape) or len(shape) > MAX_DIMENSIONS:
        _broken(path, f"tensor {name!r} has an impossible shape", name=name)
    if not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        _broken(path, f"tensor {name!r} has impossible offsets", name=name)
    bits = math.prod(shape) * DTYPE_BITS[dtype]
    begin, end = offsets
    if bits != 8 * (end - begin):
        _broken(
            path,
            f"tensor {name!r} of type {dtype} and shape {list(shape)} does not fill {end - begin} bytes",
            name=name,
        )
    return TensorInfo(dtype, tuple(shape), (begin, end))


def _are_sizes(values: object) -> bool:
    """Whether it is a list of whole numbers from 0 to 2**63 - 1 (booleans are none)."""
    return isinstance(values, list) and all(type(n) is int and 0 <= n <= _MAX_SIGNED for n in values)


def _check_coverage(path: Path, tensors: Mapping[str, TensorInfo], size: int, data_start: int) -> None:
    """Tensors must lie back to back from the first byte of the data to the last of the file."""
    end = 0
    for name, info in sorted(tensors.items(), key=lambda item: item[1].offsets):
        if info.offsets[0] != end:
            what = "overlaps the one before it" if info.offsets[0] < end else "leaves a hole before it"
            _broken(path, f"tensor {name!r} {what}", name=name)
        end = info.offsets[1]
    expected = data_start + end
    if size < expected:
        raise _error(path, f"it is cut off: {size} of {expected} bytes", size=size, expected=expected)
    if size > expected:
        _broken(
            path, f"it has {size - expected} bytes more than its header says", size=size, expected=expected
        )


def _error(path: Path, what: str, **facts: object) -> ModelFileError:
    return ModelFileError(f"{path}: {what}", hint=_AGAIN, path=str(path), **facts)


def _broken(path: Path, what: str, **facts: object) -> NoReturn:
    raise _error(path, what, **facts)
