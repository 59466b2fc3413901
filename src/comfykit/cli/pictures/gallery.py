"""Shows pictures on a terminal, between what else is printed there."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from PIL import Image, ImageOps
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import ControlType, Segment

from comfykit.cli.pictures import iterm2, kitty, sixel
from comfykit.cli.pictures.blocks import Blocks
from comfykit.cli.pictures.box import Box
from comfykit.cli.pictures.terminal import Terminal

LARGEST = Box(60, 24)
"""No picture is shown larger than this: text that was printed before should stay in sight."""

MOST_PIXELS = 1024
"""The longest side that is sent; there are no more pixels in the largest box."""

MOST = 4
"""Pictures of one batch that are shown."""

PREVIEW = Box(32, 16)
PREVIEW_PIXELS = 128  # two or more for each that is shown


class Drawn:
    """A picture that is drawn by an escape sequence, over empty lines that are printed first.

    Where a sequence leaves the cursor, terminals do not agree; and where the screen has to scroll for a
    picture, some cut it off.
    """

    def __init__(self, sequence: str, rows: int) -> None:
        self._sequence = sequence
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What rich prints: the lines, then back up, draw, and below them again."""
        yield Segment("\n" * self._rows)
        steps = f"\x1b[{self._rows}A\x1b7{self._sequence}\x1b8\x1b[{self._rows}B"
        yield Segment(steps, None, [(ControlType.CURSOR_MOVE_TO_COLUMN, 0)])


class Gallery:
    """Shows pictures on the terminal of a console as it can."""

    def __init__(self, console: Console, terminal: Terminal) -> None:
        self._console = console
        self._terminal = terminal

    def show(self, paths: Sequence[Path]) -> None:
        """Show the pictures among some files, the first few of them; other files are passed over."""
        if self._terminal.graphics == "none":
            return
        pictures = (picture for path in paths if (picture := opened(path)) is not None)
        for picture in islice(pictures, MOST):
            self._console.print(self.drawn(picture), soft_wrap=False)

    @property
    def live(self) -> bool:
        """Whether previews can be shown: they are half blocks on every terminal, as rich redraws them."""
        console = self._console
        utf = console.encoding.lower().startswith("utf")
        return utf and console.color_system is not None and self._terminal.graphics != "none"

    def preview(self, make: Callable[[int], Image.Image]) -> Blocks:
        """A small picture that is still being made, from what makes it with at most so many pixels a side."""
        picture = make(PREVIEW_PIXELS)
        return Blocks(picture, self.room(PREVIEW).holding(picture.size, self._terminal.cell))

    def drawn(self, picture: Image.Image, largest: Box = LARGEST) -> RenderableType:
        """A picture as rich prints it on this terminal."""
        box = self.room(largest).holding(picture.size, self._terminal.cell)
        match self._terminal.graphics:
            case "kitty":
                return Drawn(kitty.draw(picture, box), box.rows)
            case "iterm2":
                return Drawn(iterm2.draw(picture, box), box.rows)
            case "sixel":
                return Drawn(sixel.draw(picture, box, self._terminal.cell), box.rows)
            case _:
                return Blocks(picture, box)

    def room(self, largest: Box) -> Box:
        """The part of a box that this terminal has room for, beside a few lines of text."""
        width, height = self._console.size
        return Box(max(1, min(largest.columns, width - 1)), max(1, min(largest.rows, height - 4)))


def opened(path: Path) -> Image.Image | None:
    """The first frame of a picture, upright and no larger than needed; None for files that hold none."""
    try:
        with warnings.catch_warnings(), Image.open(path) as picture:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own, however large
            frame = ImageOps.exif_transpose(picture)
            frame.thumbnail((MOST_PIXELS, MOST_PIXELS))
            return frame.convert("RGBA" if frame.has_transparency_data else "RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
