"""Sizes in cells, the places for one character that a terminal consists of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell in pixels."""

    width: int
    height: int


SMALL_CELL = Cell(8, 16)
"""Taken where nobody says how large cells are: pictures of small cells do not leave their place."""


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the screen, in cells."""

    columns: int
    rows: int

    def holding(self, size: tuple[int, int], cell: Cell) -> Box:
        """The largest box within this one that has the proportions of a picture of `size` (width, height)."""
        width, height = size
        columns_per_row = (width / cell.width) / (height / cell.height)
        columns = min(self.columns, self.rows * columns_per_row)
        return Box(max(1, round(columns)), max(1, min(self.rows, round(columns / columns_per_row))))
