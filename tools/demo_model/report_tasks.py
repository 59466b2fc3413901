"""Sections of the report on negative prompts, image to image and inpainting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from statistics import mean

import torch
from torch import Tensor

from captions import full_caption
from comfykit.nodes.compositing import image_composite_masked
from comfykit.nodes.latent_geometry import set_latent_noise_mask
from comfykit.nodes.vae import vae_decode, vae_encode
from drawing import draw
from measure import judge, mask_of, measure
from report_numbers import Store, overlap, paragraph, percent, psnr, table
from report_studio import SIDE, How, Studio, parts, to_images, to_pictures
from scenes import COLOURS, KINDS, Scene, random_scene

BACKGROUND = "white"  # of pictures whose prompts leave the colour of the shape open
OPEN = tuple(name for name in COLOURS if name != BACKGROUND)


def colours_drawn(studio: Studio, count: int, negative: str = "") -> dict[str, int]:
    """How often each colour is chosen for a shape whose prompt names none; "" where no shape was found."""
    prompts = [f"a {KINDS[number % len(KINDS)]} on a {BACKGROUND} background" for number in range(count)]
    found: Counter[str] = Counter()
    for picture in studio.draw(prompts, How(), negative):
        regions = measure(picture).regions
        found[regions[0].colour if regions else ""] += 1
    return dict(found)


def negatives(studio: Studio, store: Store, quick: bool) -> str:
    """A colour in the negative prompt, and how often it is drawn."""
    count = 16 if quick else 64
    before = store.numbers("no negative prompt", lambda: colours_drawn(studio, 4 * count))
    rows = []
    for colour in OPEN:

        def without(colour: str = colour) -> dict[str, int]:
            return colours_drawn(studio, count, colour)

        after = store.numbers(f"negative prompt {colour}", without)
        rows.append(
            (
                colour,
                percent(before.get(colour, 0) / sum(before.values())),
                percent(after.get(colour, 0) / count),
            )
        )
    return "\n\n".join(
        (
            paragraph(
                f"""How often a shape has a colour where the prompt ("a circle on a {BACKGROUND}
                background", and so for every kind) names none: {4 * count} pictures without a negative
                prompt, {count} with each colour as the whole negative prompt."""
            ),
            table(("colour", "without", "with the colour as negative prompt"), rows),
        )
    )


def changed(studio: Studio, count: int, denoise: float) -> dict[str, float]:
    """What image to image keeps of a picture, and whether it draws the prompt, which is of another scene."""
    random = Random("image to image")
    inputs, wanted = ([random_scene(random, 1, unseen=True) for _ in range(count)] for _ in range(2))
    overlaps, ratios, right = [], [], []
    for number, chosen in enumerate(parts(range(count))):
        given = [draw(inputs[one]) for one in chosen]
        latent = vae_encode(studio.context, to_images(given), studio.vae)
        prompts = studio.encode([full_caption(wanted[one]) for one in chosen])
        how = How(denoise=denoise, seed=number)
        made = studio.decode(studio.sample(prompts, studio.encode([""]), latent, how))
        for one, before, after in zip(chosen, given, made, strict=True):
            overlaps.append(overlap(mask_of(before), mask_of(after)))
            ratios.append(psnr(before, after))
            right.append(judge(wanted[one], after).right)
    return {"overlap": mean(overlaps), "psnr": mean(ratios), "right": mean(right)}


def image_to_image(studio: Studio, store: Store, quick: bool) -> str:
    """How much of a picture stays, by denoise."""
    count = 8 if quick else 64
    rows = []
    for denoise in (0.3, 0.6, 0.9, 1.0):

        def at(denoise: float = denoise) -> dict[str, float]:
            return changed(studio, count, denoise)

        found = store.numbers(f"denoise {denoise:g}", at)
        rows.append(
            (f"{denoise:g}", f"{found['overlap']:.2f}", f"{found['psnr']:.1f} dB", percent(found["right"]))
        )
    return "\n\n".join(
        (
            f"{count} pictures of one shape, each with the prompt of another one.",
            table(("denoise", "overlap of the shapes", "likeness to the input", "shows the prompt"), rows),
        )
    )


def inpainted(studio: Studio, count: int) -> dict[str, list[float]]:
    """One half of a picture is made anew with a second shape; per picture, 0 or 1 but for the difference.

    `outside` is the largest difference outside of the mask, 0 to 255, after the result is laid over the
    picture with the mask.
    """
    scenes = _halves(count)
    colour, kind, outside = [], [], []
    for number, chosen in enumerate(parts(scenes)):
        given = to_images([draw(replace(scene, shapes=scene.shapes[1:])) for scene in chosen])
        boxes = [_half(scene.relation) for scene in chosen]
        mask = torch.stack([_mask(box) for box in boxes])
        latent = set_latent_noise_mask(vae_encode(studio.context, given, studio.vae), mask)
        prompts = studio.encode([full_caption(scene) for scene in chosen])
        made = studio.sample(prompts, studio.encode([""]), latent, How(seed=number))
        images = vae_decode(studio.context, made, studio.vae)
        pasted = image_composite_masked(given, images, 0, 0, False, mask)
        for scene, box, picture in zip(chosen, boxes, to_pictures(pasted), strict=True):
            regions = measure(picture.crop(box)).regions
            colour.append(float(bool(regions) and regions[0].colour == scene.shapes[0].colour))
            kind.append(float(bool(regions) and regions[0].kind == scene.shapes[0].kind))
        outside += [float(one) for one in _differences(given, pasted, mask)]
    return {"colour": colour, "kind": kind, "outside": outside}


def inpainting(studio: Studio, store: Store, quick: bool) -> str:
    """What is drawn under a mask, and what changes beside it."""
    count = 8 if quick else 96
    found = store.numbers("half of a picture", lambda: inpainted(studio, count))
    rows = [
        ("the shape under the mask has the colour of the prompt", percent(mean(found["colour"]))),
        ("it has the kind of the prompt", percent(mean(found["kind"]))),
        ("largest difference outside of the mask, of 255", f"{max(found['outside']):g}"),
    ]
    said = paragraph(
        f"""{count} pictures of one shape. The other half is masked, the prompt tells of both shapes, and
        the result is laid over the picture with the mask (SetLatentNoiseMask, KSampler,
        ImageCompositeMasked)."""
    )
    return f"{said}\n\n{table(('measured', 'found'), rows)}"


Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels


def _halves(count: int) -> list[Scene]:
    """Scenes of two shapes, the second one clear of the half that the first lies in."""
    random, found = Random("inpainting"), list[Scene]()
    while len(found) < count:
        scene = random_scene(random, 2, unseen=True)
        kept = draw(replace(scene, shapes=scene.shapes[1:]))
        if not measure(kept.crop(_half(scene.relation))).regions:
            found.append(scene)
    return found


def _half(relation: str | None) -> Box:
    """The half that the first shape lies in."""
    middle = SIDE // 2
    return {
        "left of": (0, 0, middle, SIDE),
        "right of": (middle, 0, SIDE, SIDE),
        "above": (0, 0, SIDE, middle),
        "below": (0, middle, SIDE, SIDE),
    }[relation or ""]


def _mask(box: Box) -> Tensor:
    """MASK [H, W] that is 1 in a box."""
    left, top, right, bottom = box
    mask = torch.zeros(SIDE, SIDE)
    mask[top:bottom, left:right] = 1.0
    return mask


def _differences(before: Tensor, after: Tensor, mask: Tensor) -> Sequence[float]:
    """The largest difference of each picture outside of its mask, 0 to 255."""
    apart = (before - after).abs().amax(-1) * (mask == 0)
    return [float(one) for one in apart.amax((1, 2)) * 255]
