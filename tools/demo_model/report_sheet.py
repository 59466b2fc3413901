"""A sheet of small pictures, those that are wrong in a red frame."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

COLUMNS, SIDE, GAP = 8, 64, 4
PAPER, RED = (255, 255, 255), (230, 0, 0)


def contact_sheet(pictures: Sequence[Image.Image], right: Sequence[bool]) -> Image.Image:
    """Pictures in rows, as a palette of 64 colours, which keeps the file small."""
    rows = -(-len(pictures) // COLUMNS)
    step = SIDE + GAP
    sheet = Image.new("RGB", (COLUMNS * step + GAP, rows * step + GAP), PAPER)
    brush = ImageDraw.Draw(sheet)
    for number, (picture, good) in enumerate(zip(pictures, right, strict=True)):
        left, top = GAP + number % COLUMNS * step, GAP + number // COLUMNS * step
        if not good:
            brush.rectangle((left - 3, top - 3, left + SIDE + 2, top + SIDE + 2), RED)
        sheet.paste(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (left, top))
    return sheet.quantize(64, dither=Image.Dither.NONE)
