"""Sixel graphics: bands six pixels high, each drawn once in every colour that is in it.

VT330/VT340 Programmer Reference Manual, chapter 14, https://vt100.net/docs/vt3xx-gp/chapter14.html
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from comfykit.cli.pictures.blocks import flat
from comfykit.cli.pictures.box import Box, Cell

COLOURS = 256  # what xterm and its kin have
BAND = 6  # rows of pixels in a band

_ZERO = 63  # the character of a column in which no pixel is set; bit 0 is the uppermost of the six
_SHORTEST_RUN = 4  # from which "!4x" is no longer than "xxxx"


def draw(picture: Image.Image, box: Box, cell: Cell) -> str:
    """The sequence that draws a picture over a box whose first cell the cursor is in; it moves the cursor."""
    size = box.columns * cell.width, box.rows * cell.height
    return encode(flat(picture).resize(size, Image.Resampling.LANCZOS))


def encode(picture: Image.Image) -> str:
    """A picture in RGB, pixel by pixel, in up to 256 colours."""
    indexed = picture.quantize(COLOURS)
    numbers = np.asarray(indexed)
    height, width = numbers.shape
    # Pixels are square (1;1), and those that no colour sets keep the background (the second 1).
    head = f'\x1bP0;1;0q"1;1;{width};{height}'
    bands = (_band(numbers[top : top + BAND]) for top in range(0, height, BAND))
    return f"{head}{''.join(_palette(indexed))}{'-'.join(bands)}\x1b\\"


def _palette(indexed: Image.Image) -> Iterator[str]:
    """Each colour's number, that it is in RGB (2), and its parts in percent."""
    values = indexed.getpalette() or []
    for number in range(len(values) // 3):
        red, green, blue = (round(value * 100 / 255) for value in values[3 * number : 3 * number + 3])
        yield f"#{number};2;{red};{green};{blue}"


def _band(rows: NDArray[np.uint8]) -> str:
    """A band of at most six rows: one colour after the other, each from the left edge ("$")."""
    bits = (1 << np.arange(len(rows)))[:, None]
    return "$".join(
        f"#{colour}{_runs(_ZERO + ((rows == colour) * bits).sum(axis=0))}" for colour in np.unique(rows)
    )


def _runs(columns: NDArray[np.int64]) -> str:
    """Characters, those that repeat as "!", how often, and which."""
    begins = np.flatnonzero(np.diff(columns, prepend=-1))
    lengths = np.diff(begins, append=len(columns))
    return "".join(
        f"!{length}{chr(code)}" if length >= _SHORTEST_RUN else chr(code) * length
        for code, length in zip(columns[begins].tolist(), lengths.tolist(), strict=True)
    )
