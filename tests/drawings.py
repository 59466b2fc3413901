"""Pictures to draw, and the way back from what a terminal is sent to pixels."""

from __future__ import annotations

import re

from PIL import Image

RGB = tuple[int, int, int]
Pixels = list[list[RGB]]

_SIXEL = re.compile(r"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|(?:!(\d+))?([?-~])|([$-])")
_CLEAR = "\x1b[2K"  # the line that the cursor is in
_HALF = re.compile(r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m▀\x1b\[0m")


def gradient(width: int, height: int) -> Image.Image:
    """Red grows to the right, green downwards, blue is half."""
    picture = Image.new("RGB", (width, height))
    for x in range(width):
        for y in range(height):
            picture.putpixel((x, y), (255 * x // max(1, width - 1), 255 * y // max(1, height - 1), 128))
    return picture


def rows_of(picture: Image.Image) -> Pixels:
    """The pixels of a picture in RGB, row by row."""
    data = picture.convert("RGB").tobytes()
    colours: list[RGB] = [(data[at], data[at + 1], data[at + 2]) for at in range(0, len(data), 3)]
    return [colours[at : at + picture.width] for at in range(0, len(colours), picture.width)]


def blocks_in(text: str) -> Pixels:
    """The pixels of the half blocks in lines of text; lines that have other things in them are left out."""
    rows: Pixels = []
    for written in text.replace("\r", "").split("\n"):
        line = written.rpartition(_CLEAR)[2]
        cells = [tuple(map(int, found)) for found in _HALF.findall(line)]
        if cells and not _HALF.sub("", line):
            rows += [[(c[0], c[1], c[2]) for c in cells], [(c[3], c[4], c[5]) for c in cells]]
    return rows


def sixel_in(text: str) -> Pixels:
    """The pixels that a sixel sequence draws; every one has to be drawn, and none twice."""
    found = re.fullmatch(r'\x1bP0;1;0q"1;1;(\d+);(\d+)(.*)\x1b\\', text, re.DOTALL)
    assert found is not None
    width, height = int(found[1]), int(found[2])
    grid: list[list[RGB | None]] = [[None] * width for _ in range(height)]
    palette: dict[int, RGB] = {}
    x = top = 0
    colour = -1
    at, body = 0, found[3]
    while at < len(body):
        command = _SIXEL.match(body, at)
        assert command is not None, body[at : at + 20]
        at = command.end()
        if command[1] is not None:
            colour = int(command[1])
            if command[2] is not None:
                red, green, blue = (round(int(part) * 255 / 100) for part in command.group(2, 3, 4))
                palette[colour] = (red, green, blue)
        elif command[6] is not None:
            for _ in range(int(command[5] or 1)):
                for bit in range(6):
                    if (ord(command[6]) - 63) >> bit & 1:
                        assert grid[top + bit][x] is None
                        grid[top + bit][x] = palette[colour]
                x += 1
        else:
            x, top = 0, top + (6 if command[7] == "-" else 0)
    rows = [[pixel for pixel in row if pixel is not None] for row in grid]
    assert {len(row) for row in rows} == {width}
    return rows
