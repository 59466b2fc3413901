"""Paints scenes."""

from __future__ import annotations

import math
from random import Random
from typing import Literal

from PIL import Image, ImageDraw

from scenes import COLOURS, Colour, Point, Scene

Style = Literal["flat", "outlined"]

SUPERSAMPLING = 4
RING_WIDTH = 0.42  # of its radius
OUTLINE: Colour = (0, 0, 0)
OUTLINE_WIDTH = 0.035  # of the picture's side, in the style "outlined"
JITTER = 6  # of a colour's channels


def draw(
    scene: Scene,
    width: int = 128,
    height: int = 128,
    *,
    style: Style = "flat",
    random: Random | None = None,
) -> Image.Image:
    """Paint a scene, anti-aliased; `random` varies the colours a little.

    The side that radii are measured in is the geometric mean of width and height, shorter where a shape
    would not fit.
    """
    scale = SUPERSAMPLING
    wide, high = width * scale, height * scale
    picture = Image.new("RGB", (wide, high), _shade(scene.background, random))
    brush = ImageDraw.Draw(picture)
    side = min(math.sqrt(wide * high), 1.5 * min(wide, high))
    _paint_pattern(brush, scene, wide, high, side)
    for shape in scene.shapes:
        colour = _shade(shape.colour, random)
        # On pictures that are not square, shapes keep inside.
        radius = shape.radius * side
        x, y = (
            min(max(at * length, radius), max(length - radius, length / 2))
            for at, length in ((shape.x, wide), (shape.y, high))
        )
        line = round(OUTLINE_WIDTH * side) if style == "outlined" else 0
        _paint_shape(brush, shape.kind, (x, y), radius, colour, line)
    return picture.reduce(scale)


def _shade(name: str, random: Random | None) -> Colour:
    red, green, blue = COLOURS[name]
    if random is None:
        return red, green, blue
    red, green, blue = (min(255, max(0, c + random.randint(-JITTER, JITTER))) for c in (red, green, blue))
    return red, green, blue


def second_tone(name: str) -> Colour:
    """The other colour of a pattern: a little darker, or lighter where that would be black."""
    red, green, blue = COLOURS[name]
    if red + green + blue < 200:
        red, green, blue = (round(c + 0.25 * (255 - c)) for c in (red, green, blue))
    else:
        red, green, blue = (round(0.78 * c) for c in (red, green, blue))
    return red, green, blue


def _paint_pattern(brush: ImageDraw.ImageDraw, scene: Scene, wide: int, high: int, side: float) -> None:
    tone, step = second_tone(scene.background), side / 8
    columns, rows = math.ceil(wide / step), math.ceil(high / step)
    if scene.pattern == "striped":
        for row in range(0, rows, 2):
            brush.rectangle((0, row * step, wide, (row + 1) * step), tone)
    elif scene.pattern == "checkered":
        for row in range(rows):
            for column in range(row % 2, columns, 2):
                brush.rectangle((column * step, row * step, (column + 1) * step, (row + 1) * step), tone)
    elif scene.pattern == "dotted":
        for row in range(rows):
            for column in range(row % 2, columns, 2):
                x, y, r = (column + 0.5) * step, (row + 0.5) * step, 0.3 * step
                brush.ellipse((x - r, y - r, x + r, y + r), tone)


def _paint_shape(
    brush: ImageDraw.ImageDraw, kind: str, middle: Point, radius: float, colour: Colour, line: int
) -> None:
    """A shape, with an outline as wide as `line` along its edge, inside; none where that is 0."""
    x, y = middle
    box = (x - radius, y - radius, x + radius, y + radius)
    if kind == "circle":
        brush.ellipse(box, colour, OUTLINE, line)
    elif kind == "ring":
        thick = round(RING_WIDTH * radius)
        brush.ellipse(box, None, colour, thick)
        if line:
            inner = radius - thick + line / 2
            brush.ellipse(box, None, OUTLINE, line)
            brush.ellipse((x - inner, y - inner, x + inner, y + inner), None, OUTLINE, line)
    else:
        points = [(x + radius * dx, y + radius * dy) for dx, dy in OUTLINES[kind]]
        brush.polygon(points, colour)
        if line:
            brush.line([*points, *points[:2]], OUTLINE, line, joint="curve")


def _star() -> list[Point]:
    """Five points; the middle is where it looks to be, a little above that of the circle around it."""
    points = []
    for corner in range(10):
        length = 1.1 if corner % 2 == 0 else 0.45
        angle = math.pi * corner / 5
        points.append((length * math.sin(angle), 0.1 - length * math.cos(angle)))
    return points


def _heart() -> list[Point]:
    """The curve `16 sin^3 t, 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t`, to size."""
    points = []
    for step in range(48):
        t = math.tau * step / 48
        height = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((math.sin(t) ** 3, -(height + 2.5) / 15))
    return points


_ARM = 0.34  # half of a cross's arm is wide

OUTLINES: dict[str, list[Point]] = {
    "square": [(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)],
    "triangle": [(0.0, -0.95), (1.05, 0.85), (-1.05, 0.85)],
    "star": _star(),
    "heart": _heart(),
    "cross": [
        (-_ARM, -1), (_ARM, -1), (_ARM, -_ARM), (1, -_ARM), (1, _ARM), (_ARM, _ARM),
        (_ARM, 1), (-_ARM, 1), (-_ARM, _ARM), (-1, _ARM), (-1, -_ARM), (-_ARM, -_ARM),
    ],
}  # fmt: skip
