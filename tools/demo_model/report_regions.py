"""The section of the report on prompts for boxes of a picture."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from PIL import Image

from captions import full_caption
from comfykit.nodes.conditioning import (
    conditioning_combine,
    conditioning_set_area,
    conditioning_set_area_strength,
)
from comfykit.nodes.latents import empty_latent_image
from measure import measure
from report_numbers import Store, paragraph, rate, table
from report_studio import How, Studio, parts
from scenes import Scene, Shape, random_scene

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels


@dataclass(frozen=True, slots=True)
class Layout:
    """Two boxes of a picture that have prompts of their own."""

    name: str
    width: int
    height: int
    boxes: tuple[Box, Box]


# A node's box has sides of at least 64 pixels.
LAYOUTS = (
    Layout("left and right halves", 128, 128, ((0, 0, 64, 128), (64, 0, 128, 128))),
    Layout("top and bottom halves", 128, 128, ((0, 0, 128, 64), (0, 64, 128, 128))),
    Layout("a third and two thirds", 192, 128, ((0, 0, 64, 128), (64, 0, 192, 128))),
    Layout("one above the other, unequal", 128, 160, ((0, 0, 128, 64), (0, 64, 128, 160))),
    Layout("opposite corners", 128, 128, ((0, 0, 64, 64), (64, 64, 128, 128))),
    Layout("inside, space around", 192, 192, ((16, 64, 96, 144), (104, 48, 184, 128))),
)
AROUND = 0.2  # strength of the prompt for the background beside those of the boxes


def regions_drawn(studio: Studio, layout: Layout, count: int) -> dict[str, list[bool]]:
    """Whether each of two prompts is drawn in its own box; two answers a picture."""
    random = Random(layout.name)
    scenes = [random_scene(random, 2, unseen=True) for _ in range(count)]
    colour, kind = [], []
    for number, chosen in enumerate(parts(scenes)):
        positive = conditioning_set_area_strength(
            studio.encode([_alone(scene, None) for scene in chosen]), AROUND
        )
        for place, (left, top, right, bottom) in enumerate(layout.boxes):
            prompts = studio.encode([_alone(scene, scene.shapes[place]) for scene in chosen])
            area = conditioning_set_area(prompts, right - left, bottom - top, left, top, 1.0)
            positive = conditioning_combine(positive, area)
        latent = empty_latent_image(layout.width, layout.height, len(chosen))
        made = studio.sample(positive, studio.encode([""]), latent, How(seed=number))
        for scene, picture in zip(chosen, studio.decode(made), strict=True):
            for shape, found in zip(scene.shapes, in_boxes(layout, picture), strict=True):
                colour.append(found is not None and found[0] == shape.colour)
                kind.append(found is not None and found[1] == shape.kind)
    return {"colour": colour, "kind": kind}


def areas(studio: Studio, store: Store, quick: bool) -> str:
    """Prompts of two regions."""
    count = 8 if quick else 64
    rows = []
    for layout in LAYOUTS:

        def of(layout: Layout = layout) -> dict[str, list[bool]]:
            return regions_drawn(studio, layout, count)

        found = store.numbers(layout.name, of)
        size = f"{layout.width}x{layout.height}"
        rows.append((layout.name, size, str(rate(found["colour"])), str(rate(found["kind"]))))
    said = paragraph(
        f"""{count} pictures a row of two shapes, each with a prompt and a box of its own
        (ConditioningSetArea), and a prompt for the background at strength {AROUND:g}. A shape is right
        where the largest one whose middle lies in its box has its colour, or its kind."""
    )
    head = ("boxes", "picture", "colour in its box", "kind in its box")
    return f"{said}\n\n{table(head, rows)}"


def _alone(scene: Scene, shape: Shape | None) -> str:
    """The caption of one shape of a scene wherever it lies, or of the background."""
    return full_caption(Scene(() if shape is None else (shape,), scene.background))


def in_boxes(layout: Layout, picture: Image.Image) -> list[tuple[str, str | None] | None]:
    """Colour and kind of the largest shape whose middle lies in each box; None where there is none."""
    regions = measure(picture).regions
    found: list[tuple[str, str | None] | None] = []
    for left, top, right, bottom in layout.boxes:
        inside = [
            region
            for region in regions
            if left <= region.x * layout.width < right and top <= region.y * layout.height < bottom
        ]
        found.append((inside[0].colour, inside[0].kind) if inside else None)
    return found
