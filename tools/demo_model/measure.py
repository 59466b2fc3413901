"""Says what is in a picture of shapes, by plain measurement: no learned judge.

The background is the colour that most of a picture has. Shapes are connected regions of other colours, and
a shape's kind is that of the template it overlaps best, both stretched to one square. What the
measurement gets wrong on pictures that `scenes.draw` paints is bounded by its tests.

Thresholds are lengths in pixels of pictures of 128 pixels; larger pictures are made as small first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import ndimage

from drawing import draw, second_tone
from scenes import COLOURS, KINDS, Scene, Shape

Mask = NDArray[np.bool_]
Labels = NDArray[np.intp]

SIDE = 128
CORE = 5  # side of the square of one colour that every shape has in it, and no blurred edge
LEAST_CORE = 6  # pixels in the middle of such squares
LEAST_AREA = 100  # pixels; the smallest shape that is drawn has 340
LEAST_OVERLAP = 0.65  # with the template of a kind, below which a region is no shape at all
GRID = 32  # side of the square that regions and templates are stretched to

NAMES = tuple(COLOURS)
TONES = np.array([*COLOURS.values(), *(second_tone(name) for name in NAMES)], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Region:
    """A shape as it was found.

    `kind` is None where it resembles none; `overlap` (0 to 1) is that with the template of its kind. `box`
    is left, top, right and bottom, `x` and `y` are the centroid and `area` the size, all in units of the
    picture's sides, as `scenes.Shape` has them.
    """

    colour: str
    kind: str | None
    overlap: float
    x: float
    y: float
    box: tuple[float, float, float, float]
    area: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What a picture shows; regions from the largest to the smallest."""

    background: str
    regions: tuple[Region, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a picture shows a scene.

    `colour`: every shape has its colour. `shape`: every shape has its kind, and there are no others.
    `background`: its colour; patterns are not judged. `relation`: the first shape lies on its side of the
    second; None for scenes that say nothing of it.
    """

    colour: bool
    shape: bool
    background: bool
    relation: bool | None = None

    @property
    def right(self) -> bool:
        """Whether all of it is right."""
        return self.colour and self.shape and self.background and self.relation is not False


def measure(picture: Image.Image) -> Measured:
    """The background and the shapes of a picture."""
    background, pieces = _read(picture)
    regions = (_region(colour, piece) for colour, piece in pieces)
    return Measured(background, tuple(sorted(regions, key=lambda region: -region.area)))


def mask_of(picture: Image.Image) -> Mask:
    """Where the shapes of a picture are, [128, 128] for square pictures of so many pixels or a multiple."""
    small = _to_size(picture)
    mask = np.zeros((small.height, small.width), dtype=np.bool_)
    for _, piece in _read(picture)[1]:
        mask |= piece
    return mask


def judge(scene: Scene, picture: Image.Image) -> Judgement:
    """Whether a picture shows a scene."""
    return compare(scene, measure(picture))


def compare(scene: Scene, measured: Measured) -> Judgement:
    """Whether what was measured is a scene.

    Shapes and regions are paired so that most is right; a shape for which no region is left is wrong in
    everything.
    """
    background = measured.background == scene.background
    wanted, found = scene.shapes, measured.regions[: len(scene.shapes) + 2]
    if len(found) < len(wanted):
        return Judgement(False, False, background, None if scene.relation is None else False)
    best = max(permutations(found, len(wanted)), key=lambda pairing: _agreement(scene, pairing))
    return Judgement(
        colour=all(shape.colour == region.colour for shape, region in zip(wanted, best, strict=True)),
        shape=len(measured.regions) == len(wanted)
        and all(shape.kind == region.kind for shape, region in zip(wanted, best, strict=True)),
        background=background,
        relation=None if scene.relation is None else related(best[0], best[1], scene.relation),
    )


def related(first: Region, second: Region, relation: str) -> bool:
    """Whether one region is "left of", "right of", "above" or "below" another, more so than beside it."""
    right, down = first.x - second.x, first.y - second.y
    along, beside = (right, down) if relation in ("left of", "right of") else (down, right)
    if relation in ("left of", "above"):
        along = -along
    return along > abs(beside)


def _agreement(scene: Scene, pairing: tuple[Region, ...]) -> float:
    right = sum(
        (shape.colour == region.colour) + (shape.kind == region.kind)
        for shape, region in zip(scene.shapes, pairing, strict=True)
    )
    related_too = scene.relation is not None and related(pairing[0], pairing[1], scene.relation)
    return right + 0.5 * related_too + 0.1 * sum(region.area for region in pairing)


def _read(picture: Image.Image) -> tuple[str, list[tuple[str, Mask]]]:
    """The name of the background, and colour and mask of every shape."""
    small = _to_size(picture.convert("RGB")).filter(ImageFilter.MedianFilter(3))
    pixels = np.asarray(small, dtype=np.float32)
    background = _background(_nearest(pixels, TONES))
    pieces = [(name, piece) for name, mask in _colours(pixels, background) for piece in _pieces(mask)]
    return NAMES[background], pieces


def _to_size(picture: Image.Image) -> Image.Image:
    """A picture in about the size that thresholds are meant for."""
    factor = int((picture.width * picture.height) ** 0.5 / SIDE)
    return picture.reduce(factor) if factor > 1 else picture


def _nearest(pixels: NDArray[np.float32], tones: NDArray[np.float32]) -> Labels:
    """Index of the nearest tone of every pixel [H, W]."""
    distance = np.square(tones).sum(1) - 2 * pixels @ tones.T
    return np.asarray(distance.argmin(-1))


def _background(labels: Labels) -> int:
    """Index of the colour that most pixels have in one of its two tones."""
    return int(np.bincount(labels.ravel() % len(NAMES), minlength=len(NAMES)).argmax())


def _colours(pixels: NDArray[np.float32], background: int) -> list[tuple[str, Mask]]:
    """The colours of shapes, and the pixels that are nearest to each among those that are there.

    Where two colours meet, pixels between them may be near to a third; so first it is asked which colours
    fill a square anywhere, and then which of those alone every pixel has.
    """
    dark = len(NAMES) + background
    candidates = [background, dark, *(index for index in range(len(NAMES)) if index != background)]
    labels = _nearest(pixels, TONES[candidates])
    flat = ndimage.minimum_filter(labels, CORE) == ndimage.maximum_filter(labels, CORE)
    counts = np.bincount(labels[flat], minlength=len(candidates))
    present = [place for place in range(2, len(candidates)) if counts[place] >= LEAST_CORE]
    kept = [candidates[place] for place in (0, 1, *present)]
    again = _nearest(pixels, TONES[kept])
    return [(NAMES[index], again == place) for place, index in enumerate(kept) if place > 1]


def _pieces(mask: Mask) -> list[Mask]:
    """The connected pieces of a mask that are large and thick enough for a shape."""
    pieces, count = ndimage.label(mask, np.ones((3, 3), dtype=np.int8))
    if not count:
        return []
    areas = np.bincount(pieces.ravel(), minlength=count + 1)
    cores = np.bincount(pieces[ndimage.minimum_filter(mask, CORE, mode="nearest")], minlength=count + 1)
    return [
        pieces == number
        for number in range(1, count + 1)
        if areas[number] >= LEAST_AREA and cores[number] >= LEAST_CORE
    ]


def _region(colour: str, piece: Mask) -> Region:
    height, width = piece.shape
    rows, columns = np.flatnonzero(piece.any(1)), np.flatnonzero(piece.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    kind, overlap = _kind(piece[top:bottom, left:right])
    y, x = np.nonzero(piece)
    return Region(
        colour,
        kind,
        overlap,
        x=float(x.mean() + 0.5) / width,
        y=float(y.mean() + 0.5) / height,
        box=(left / width, top / height, right / width, bottom / height),
        area=float(piece.mean()),
    )


def _kind(shape: Mask) -> tuple[str | None, float]:
    """The kind whose template a shape, cut to its box, overlaps best; and intersection over union with it."""
    stretched = _stretched(shape)
    names, templates = _templates()
    both = np.minimum(templates, stretched).sum((1, 2))
    overlaps = both / np.maximum(templates, stretched).sum((1, 2))
    best = int(overlaps.argmax())
    overlap = float(overlaps[best])
    return (names[best] if overlap >= LEAST_OVERLAP else None), overlap


def _stretched(shape: Mask) -> NDArray[np.float32]:
    """A mask stretched to the square that kinds are compared in, 0 to 1."""
    picture = Image.fromarray(shape.astype(np.uint8) * 255).resize((GRID, GRID), Image.Resampling.BOX)
    return np.asarray(picture, dtype=np.float32) / np.float32(255)


@cache
def _templates() -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Every kind in a few sizes, sharp and blurred, found as shapes are: names, and masks [n, 32, 32].

    Blurred, because what is left of a small star whose tips are pale is nearer to a circle than to a star.
    """
    names, masks = [], []
    for kind, radius, blur in product(KINDS, (0.13, 0.17, 0.21, 0.28), (0.0, 1.2, 2.0)):
        shape = Shape(kind, "cyan", "medium", 0.5, 0.5, radius)  # no third colour lies between it and blue
        found = mask_of(draw(Scene((shape,), "blue")).filter(ImageFilter.GaussianBlur(blur)))
        rows, columns = np.flatnonzero(found.any(1)), np.flatnonzero(found.any(0))
        names.append(kind)
        masks.append(_stretched(found[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]))
    return tuple(names), np.stack(masks)
