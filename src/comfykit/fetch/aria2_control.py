"""aria2's control file: which bytes of a file it has.

aria2 keeps `NAME.aria2` beside a file that is on its way. Reading it turns what aria2 has into spans for
our journal; writing one lets aria2 go on where another backend stopped. The layout is that of aria2's
manual ("Control file (*.aria2) format"), version 1, all numbers big-endian: a header, a bit for each
piece that is complete, and for each piece that is not, a bit for each of its blocks of 16 KiB.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from comfykit.fetch.spans import Span, Spans

PIECE_BYTES = 1024 * 1024
BLOCK_BYTES = 16 * 1024

_VERSION = struct.Struct(">HII")  # version, extension, length of the info hash (BitTorrent alone)
_SIZES = struct.Struct(">IQQI")  # piece length, total length, uploaded, length of the bit field
_COUNT = struct.Struct(">I")
_PIECE = struct.Struct(">III")  # index, length, length of the bit field of blocks


def read_control(data: bytes) -> tuple[int, Spans]:
    """Size of the file and the bytes of it that are there; raises `ValueError` for anything else."""
    try:
        return _read(data)
    except struct.error as error:
        raise ValueError("the control file is cut off") from error


def write_control(total: int, done: Spans) -> bytes:
    """A control file for a file of `total` bytes that has `done` of them; only whole blocks count."""
    complete: list[int] = []
    begun: dict[int, list[int]] = {}
    for span in done:
        for index in range(span.start // PIECE_BYTES, _up(min(span.end, total), PIECE_BYTES)):
            begin = index * PIECE_BYTES
            end = begin + _piece_length(index, total, PIECE_BYTES)
            if span.start <= begin and end <= span.end:
                complete.append(index)
            elif whole := _whole_blocks(span, begin, end):
                begun.setdefault(index, []).extend(whole)
    field = _to_bits(complete, _up(total, PIECE_BYTES))
    parts = [_VERSION.pack(1, 0, 0), _SIZES.pack(PIECE_BYTES, total, 0, len(field)), field]
    parts.append(_COUNT.pack(len(begun)))
    for index, blocks in sorted(begun.items()):
        length = _piece_length(index, total, PIECE_BYTES)
        bits = _to_bits(blocks, _up(length, BLOCK_BYTES))
        parts += [_PIECE.pack(index, length, len(bits)), bits]
    return b"".join(parts)


def _read(data: bytes) -> tuple[int, Spans]:
    version, _, hash_length = _VERSION.unpack_from(data, 0)
    if version != 1:
        raise ValueError(f"a control file of version {version}; only 1 is known")
    at = _VERSION.size + hash_length
    piece, total, _, field_length = _SIZES.unpack_from(data, at)
    at += _SIZES.size
    if not piece or field_length != _up(_up(total, piece), 8):
        raise ValueError("the control file contradicts itself")
    found: list[tuple[int, int]] = []
    for index in _bits(data[at : at + field_length]):
        found.append((index * piece, index * piece + _piece_length(index, total, piece)))
    at += field_length
    (count,) = _COUNT.unpack_from(data, at)
    at += _COUNT.size
    for _ in range(count):
        index, length, bits_length = _PIECE.unpack_from(data, at)
        at += _PIECE.size
        begin, end = index * piece, index * piece + length
        for block in _bits(data[at : at + bits_length]):
            found.append((begin + block * BLOCK_BYTES, min(begin + (block + 1) * BLOCK_BYTES, end)))
        at += bits_length
    if at != len(data):
        raise ValueError("the control file has another length than it says")
    if any(not 0 <= start < end <= total for start, end in found):
        raise ValueError("the control file names bytes outside the file")
    return total, Spans(Span(start, end) for start, end in sorted(found))


def _piece_length(index: int, total: int, piece: int) -> int:
    return min(piece, total - index * piece)


def _whole_blocks(span: Span, begin: int, end: int) -> range:
    """Numbers of the blocks, counted from the start of the piece `begin` to `end`, that a span covers."""
    first = _up(max(span.start, begin) - begin, BLOCK_BYTES)
    last = _up(end - begin, BLOCK_BYTES) if span.end >= end else (span.end - begin) // BLOCK_BYTES
    return range(first, last)


def _up(amount: int, unit: int) -> int:
    """How many units hold an amount."""
    return -(-amount // unit)


def _bits(field: bytes) -> Iterator[int]:
    """Numbers of the bits that are set; bit 0 is the highest of the first byte."""
    for number, byte in enumerate(field):
        if byte:
            yield from (8 * number + bit for bit in range(8) if byte >> (7 - bit) & 1)


def _to_bits(numbers: Iterable[int], count: int) -> bytes:
    field = bytearray(_up(count, 8))
    for number in numbers:
        field[number // 8] |= 0x80 >> number % 8
    return bytes(field)
