"""How often the measurement of pictures errs: on pictures that are known to be right, and to be wrong."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from PIL import Image, ImageFilter

from captions import OPPOSITES, full_caption
from drawing import draw
from measure import Judgement, judge, mask_of, measure
from scenes import COLOURS, KINDS, PATTERNS, POSITIONS, Scene, Shape, random_scene

SCENES = 400
MOST_WRONG = SCENES // 200  # 0.5 %

Harm = Callable[[Image.Image], Image.Image]


def scenes(count: int, shapes: int | None = None) -> list[Scene]:
    random = Random("measured")
    return [random_scene(random, shapes, unseen=bool(number % 2)) for number in range(count)]


def with_noise(picture: Image.Image) -> Image.Image:
    grain = np.random.default_rng(0).normal(0, 8, (picture.height, picture.width, 3))
    return Image.fromarray((np.asarray(picture) + grain).clip(0, 255).astype(np.uint8))


def blurred(picture: Image.Image) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(1))


def compressed(picture: Image.Image) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=75)
    return Image.open(file)


def enlarged(picture: Image.Image) -> Image.Image:
    return picture.resize((256, 256), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("harm", [Image.Image.copy, with_noise, blurred, compressed, enlarged])
def test_right_pictures_are_found_right(harm: Harm) -> None:
    random = Random("drawn")
    wrong: dict[str, list[str]] = {}
    for scene in scenes(SCENES):
        found = judge(scene, harm(draw(scene, random=random)))
        for name in ("colour", "shape", "background", "relation"):
            if getattr(found, name) is False:
                wrong.setdefault(name, []).append(full_caption(scene))
    assert all(len(captions) <= MOST_WRONG for captions in wrong.values()), wrong


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0.13, 0.2, 0.3])
def test_every_kind_is_found_in_every_colour_on_every_pattern(kind: str, size: float) -> None:
    names = list(COLOURS)
    for number, colour in enumerate(names):
        scene = Scene(
            (Shape(kind, colour, "medium", 0.45, 0.55, size),),
            background=names[number - 3],
            pattern=PATTERNS[number % len(PATTERNS)],
        )
        assert judge(scene, draw(scene)) == Judgement(True, True, True)


def test_places_and_sizes_are_those_of_the_shapes() -> None:
    for scene in scenes(60, 1):
        (shape,), (region,) = scene.shapes, measure(draw(scene)).regions
        assert region.x == pytest.approx(shape.x, abs=0.02)
        assert region.y == pytest.approx(shape.y, abs=0.08)  # centroids lie above or below the middle
        left, top, right, bottom = region.box
        assert max(right - left, bottom - top) == pytest.approx(2 * shape.radius, rel=0.18)
        assert region.area == pytest.approx(float(mask_of(draw(scene)).mean()))


def test_swapped_colours_are_found_wrong() -> None:
    for scene in scenes(60, 2):
        first, second = scene.shapes
        swapped = replace(
            scene, shapes=(replace(first, colour=second.colour), replace(second, colour=first.colour))
        )
        found = judge(scene, draw(swapped))
        assert found.background
        # Where the kinds are the same, this is the same as swapped places.
        assert not (found.colour and found.shape and found.relation)
        assert first.kind == second.kind or not (found.colour and found.shape)


def test_other_colours_kinds_and_backgrounds_are_found_wrong() -> None:
    random = Random("others")
    for scene in scenes(60, 1):
        (shape,) = scene.shapes
        used = (shape.colour, scene.background)
        colour, background = random.sample([name for name in COLOURS if name not in used], 2)
        kind = random.choice([name for name in KINDS if name != shape.kind])
        assert judge(scene, draw(replace(scene, shapes=(replace(shape, colour=colour),)))).colour is False
        assert judge(scene, draw(replace(scene, shapes=(replace(shape, kind=kind),)))).shape is False
        assert judge(scene, draw(replace(scene, background=background))).background is False


def test_moved_shapes_are_found_in_the_wrong_relation() -> None:
    for scene in scenes(60, 2):
        turned = replace(scene, relation=OPPOSITES[scene.relation or ""])
        assert judge(turned, draw(scene)) == Judgement(True, True, True, False)
        first, second = scene.shapes
        beside = "left of" if scene.relation in ("above", "below") else "above"
        assert judge(replace(scene, relation=beside), draw(scene)).relation is False
        moved = (replace(first, x=second.x, y=second.y), replace(second, x=first.x, y=first.y))
        assert judge(scene, draw(replace(scene, shapes=moved))).relation is False


def test_shapes_too_few_or_too_many_are_found_wrong() -> None:
    for scene in scenes(40, 2):
        lonely = replace(scene, shapes=scene.shapes[:1])
        assert judge(scene, draw(lonely)) == Judgement(False, False, True, False)
        alone = replace(lonely, relation=None)
        assert judge(alone, draw(scene)) == Judgement(True, False, True)


def test_blank_pictures_and_noise_have_no_shapes() -> None:
    for background in COLOURS:
        for pattern in PATTERNS:
            found = measure(with_noise(draw(Scene((), background, pattern))))
            assert (found.background, found.regions) == (background, ())
    noise = np.random.default_rng(1).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    assert not any(region.kind for region in measure(Image.fromarray(noise)).regions)


def test_specks_and_lines_are_no_shapes() -> None:
    scene = Scene((Shape("ring", "blue", "large", *POSITIONS["in the center"], 0.28),), "white")
    scene = replace(scene, shapes=(replace(scene.shapes[0], x=0.5, y=0.5),))
    pixels = np.array(draw(scene))
    pixels[5:10, 5:10] = COLOURS["red"]
    pixels[100:103, :] = COLOURS["green"]
    found = measure(Image.fromarray(pixels))
    assert {region.colour for region in found.regions} == {"blue"}
