"""A node that lays pictures out in rows and columns."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from comfykit.engine.define import integer, node, socket
from comfykit.errors import UsageError
from comfykit.nodes.align import RGB, fit_within
from comfykit.nodes.types import Image

BLACK = 0.0
CellSide = Annotated[list[int], integer(256, 32, 2048)]


@node("ImageGrid", title="Image Grid", category="image/batch", input_is_list=True)
def image_grid(
    images: Annotated[list[Tensor], socket("IMAGE")],
    columns: Annotated[list[int], integer(4, 1, 20)],
    cell_width: CellSide,
    cell_height: CellSide,
    padding: Annotated[list[int], integer(4, 0, 50)],
) -> Image:
    """Lay pictures out as a contact sheet: row by row, `columns` to a row, in cells of one size.

    Every picture of every batch gets a cell, and is resized to fit into it, its aspect ratio kept. Between
    cells lie `padding` pixels; they, margins and cells that are left over are black. Alpha is dropped.
    """
    width, height, gap, across = cell_width[0], cell_height[0], padding[0], columns[0]
    singles = [picture[None, ..., :RGB] for batch in images for picture in batch]
    if not singles:
        raise UsageError("a grid of no pictures", hint="link at least one picture to 'images'")
    down = -(-len(singles) // across)
    sheet: Tensor = singles[0].new_zeros(1, down * (height + gap) - gap, across * (width + gap) - gap, RGB)
    for place, picture in enumerate(singles):
        row, column = divmod(place, across)
        top, left = row * (height + gap), column * (width + gap)
        cell = fit_within(picture.to(sheet), width, height, "lanczos", BLACK)
        sheet[:, top : top + height, left : left + width] = cell
    return sheet
