"""Scenes of shapes: what the demo model learns to draw.

A scene has up to two shapes on a background. `random_scene` draws scenes without end; `captions` puts
them into words, `drawing` paints them. Combinations for which `held_out` is true never come from
`random_scene` unless asked for, so that they can judge what was learned.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from random import Random

Colour = tuple[int, int, int]
Point = tuple[float, float]

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
