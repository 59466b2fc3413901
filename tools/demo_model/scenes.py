"""Scenes of shapes, and the captions that describe them: what the demo model learns to draw.

A scene has up to two shapes on a background. `random_scene` draws scenes without end, `caption` says in
varying words what is in one, `draw` paints it. Combinations for which `held_out` is true never come
from `random_scene` unless asked for, so that they can judge what was learned.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from random import Random
from typing import Literal

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]
Style = Literal["flat", "outlined"]

COLOURS: dict[str, Colour] = {
    "red": (216, 36, 40),
    "orange": (246, 138, 30),
    "yellow": (252, 222, 50),
    "green": (44, 160, 60),
    "cyan": (60, 208, 220),
    "blue": (36, 72, 212),
    "purple": (132, 48, 172),
    "pink": (250, 146, 190),
    "white": (250, 250, 250),
    "gray": (128, 128, 128),
    "black": (16, 16, 16),
}
KINDS = ("circle", "square", "triangle", "star", "ring", "cross", "heart")
PATTERNS = ("plain", "striped", "checkered", "dotted")
RELATIONS = ("left of", "right of", "above", "below")
OPPOSITES = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}

# Where a single shape may be: the words, and the direction from the middle of the picture.
POSITIONS: dict[str, Point] = {
    "in the center": (0, 0),
    "on the left": (-1, 0),
    "on the right": (1, 0),
    "at the top": (0, -1),
    "at the bottom": (0, 1),
    "in the top left corner": (-1, -1),
    "in the top right corner": (1, -1),
    "in the bottom left corner": (-1, 1),
    "in the bottom right corner": (1, 1),
}

# Radius of shapes, in units of the picture's side.
ALONE = {"small": 0.14, "medium": 0.20, "large": 0.28}
PAIRED = {"small": 0.13, "medium": 0.17, "large": 0.20}

HELD_OUT_ONE_IN = 8
SUPERSAMPLING = 4
RING_WIDTH = 0.42  # of its radius
OUTLINE: Colour = (0, 0, 0)
OUTLINE_WIDTH = 0.035  # of the picture's side, in the style "outlined"
JITTER = 6  # of a colour's channels


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape: what it is called, and where it lies in units of the picture's width, height and side."""

    kind: str
    colour: str
    size: str
    x: float
    y: float
    radius: float


@dataclass(frozen=True, slots=True)
class Scene:
    """Up to two shapes on a background; `relation` is that of the first to the second.

    None where they lie anywhere. `position` is one of `POSITIONS` for a single shape, likewise.
    """

    shapes: tuple[Shape, ...]
    background: str
    pattern: str = "plain"
    relation: str | None = None
    position: str | None = None


def held_out(kind: str, colour: str, background: str) -> bool:
    """Whether this shape in this colour on this background is kept from training."""
    return zlib.crc32(f"{colour} {kind} on {background}".encode()) % HELD_OUT_ONE_IN == 0


def random_scene(random: Random, shapes: int | None = None, *, unseen: bool = False) -> Scene:
    """A scene of so many shapes, or mostly one or two.

    With `unseen` every shape is a combination that is held out from training; without, none is.
    """
    count = random.choices((0, 1, 2), (3, 45, 52))[0] if shapes is None else shapes
    background, taken = _free_colour(random, set(), white=0.15), set[str]()
    taken.add(background)
    named: list[tuple[str, str]] = []
    while len(named) < count:
        kind, colour = random.choice(KINDS), _free_colour(random, taken)
        if held_out(kind, colour, background) is unseen:
            named.append((kind, colour))
            taken.add(colour)
    pattern = random.choices(PATTERNS, (79, 7, 7, 7))[0]
    if count == 1:
        shape, position = _alone(random, *named[0])
        return Scene((shape,), background, pattern, position=position)
    if count == 2:
        relation = random.choice(RELATIONS)
        return Scene(_pair(random, named, relation), background, pattern, relation)
    return Scene((), background, pattern)


def _free_colour(random: Random, taken: set[str], white: float = 0.0) -> str:
    if white and random.random() < white:
        return "white"
    return random.choice([name for name in COLOURS if name not in taken])


def _size(random: Random) -> str:
    return random.choices(("small", "medium", "large"), (25, 45, 30))[0]


def _alone(random: Random, kind: str, colour: str) -> tuple[Shape, str | None]:
    size = _size(random)
    radius = ALONE[size] * random.uniform(0.93, 1.07)
    if random.random() < 0.15:  # anywhere, and the caption does not tell
        x, y = (random.uniform(radius + 0.03, 0.97 - radius) for _ in range(2))
        return Shape(kind, colour, size, x, y, radius), None
    position = "in the center" if random.random() < 0.5 else random.choice(list(POSITIONS))
    x, y = (_along(random, direction, radius) for direction in POSITIONS[position])
    return Shape(kind, colour, size, x, y, radius), position


def _along(random: Random, direction: float, radius: float) -> float:
    """Where a shape lies on one axis: near an edge, or about the middle."""
    if not direction:
        return 0.5 + random.uniform(-0.05, 0.05)
    from_edge = radius + random.uniform(0.03, 0.09)
    return from_edge if direction < 0 else 1 - from_edge


def _pair(random: Random, named: list[tuple[str, str]], relation: str) -> tuple[Shape, ...]:
    first = 0.27 if relation in ("left of", "above") else 0.73
    across = [first, 1 - first]
    shapes = []
    for (kind, colour), middle in zip(named, across, strict=True):
        size = _size(random)
        radius = PAIRED[size] * random.uniform(0.95, 1.05)
        along, beside = middle + random.uniform(-0.03, 0.03), 0.5 + random.uniform(-0.08, 0.08)
        x, y = (along, beside) if relation in ("left of", "right of") else (beside, along)
        shapes.append(Shape(kind, colour, size, x, y, radius))
    return tuple(shapes)


def caption(scene: Scene, random: Random) -> str:
    """What is in a scene, in words; now and then something is left out, or only one word is said."""
    if scene.shapes and random.random() < 0.02:
        shape = random.choice(scene.shapes)
        return random.choice((shape.colour, shape.kind, f"{shape.colour} {shape.kind}"))
    background = _background_words(scene)
    if not scene.shapes:
        return background
    words = [_shape_words(shape, random) for shape in scene.shapes]
    if len(words) == 1:
        text = words[0]
        if scene.position is not None and (scene.position != "in the center" or random.random() < 0.3):
            text += f" {scene.position}"
    else:
        text = _joined(words, scene.relation, random)
    if random.random() < 0.12:
        return text
    return f"{text}, {background}" if random.random() < 0.1 else f"{text} on {background}"


def full_caption(scene: Scene) -> str:
    """All of a scene, in the most usual words."""
    parts = []
    for shape in scene.shapes:
        size = "" if shape.size == "medium" else f"{shape.size} "
        parts.append(_with_article(f"{size}{shape.colour} {shape.kind}"))
    text = f" {scene.relation or 'and'} ".join(parts)
    if scene.position not in (None, "in the center"):
        text += f" {scene.position}"
    background = _background_words(scene)
    return f"{text} on {background}" if text else background


def _with_article(words: str) -> str:
    return f"an {words}" if words.startswith("o") else f"a {words}"


def _shape_words(shape: Shape, random: Random) -> str:
    colour = "" if random.random() < 0.05 else f"{shape.colour} "
    kind = "shape" if random.random() < 0.03 else shape.kind
    size = "" if shape.size == "medium" else f"{shape.size} "
    words = f"{size}{colour}{kind}"
    return words if random.random() < 0.15 else _with_article(words)


def _background_words(scene: Scene) -> str:
    pattern = "" if scene.pattern == "plain" else f"{scene.pattern} "
    return _with_article(f"{pattern}{scene.background} background")


def _joined(words: list[str], relation: str | None, random: Random) -> str:
    first, second = words
    if relation is None or random.random() < 0.06:
        return f"{first} and {second}"
    if random.random() < 0.25:  # the same, seen from the other side
        first, second, relation = second, first, OPPOSITES[relation]
    if relation in ("left of", "right of") and random.random() < 0.3:
        relation = f"to the {relation}"
    return f"{first} {relation} {second}"


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
