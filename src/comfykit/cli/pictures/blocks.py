"""Pictures of half blocks: two pixels in each cell, one in its colour, the other in its background.

For terminals that show colours and nothing else. Rich takes the nearest colours where there are only 256
or 16 of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from PIL import Image
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

from comfykit.cli.pictures.box import Box

UPPER_HALF = "▀"

RGB = tuple[int, int, int]


class Blocks:
    """A picture as wide and as high as a box; rich prints it."""

    def __init__(self, picture: Image.Image, box: Box) -> None:
        self._picture = picture
        self._box = box

    @cached_property
    def lines(self) -> list[list[Segment]]:
        """The lines of the box; made once, as a live display prints them again and again."""
        rows = pixels(self._picture, (self._box.columns, 2 * self._box.rows))
        return [_line(upper, lower) for upper, lower in zip(rows[::2], rows[1::2], strict=True)]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What rich prints."""
        for line in self.lines:
            yield from line
            yield Segment.line()


def pixels(picture: Image.Image, size: tuple[int, int]) -> list[list[RGB]]:
    """The rows of a picture, scaled to a size (width, height): each pixel the mean of what it covers."""
    small = flat(picture).resize(size, Image.Resampling.BOX)
    width, _ = size
    data = small.tobytes()
    found = [(data[at], data[at + 1], data[at + 2]) for at in range(0, len(data), 3)]
    return [found[begin : begin + width] for begin in range(0, len(found), width)]


def flat(picture: Image.Image) -> Image.Image:
    """A picture in RGB; what is transparent in it is black."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    ground = Image.new("RGBA", picture.size, "black")
    return Image.alpha_composite(ground, picture.convert("RGBA")).convert("RGB")


def _line(upper: Sequence[RGB], lower: Sequence[RGB]) -> list[Segment]:
    return [
        Segment(UPPER_HALF, Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below)))
        for above, below in zip(upper, lower, strict=True)
    ]
