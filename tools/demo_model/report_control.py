"""Sections of the report on the ControlNet, the LoRA and the textual inversion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from statistics import mean

import numpy as np
from PIL import Image
from scipy import ndimage

from captions import full_caption
from comfykit.nodes.controlnet import control_net_apply_advanced, control_net_loader
from comfykit.nodes.filters import canny_edges
from comfykit.nodes.latents import empty_latent_image
from comfykit.nodes.loaders import checkpoint_loader_simple
from comfykit.nodes.loras import lora_loader
from comfykit.nodes.merging import clip_merge_simple, model_merge_simple
from comfykit.nodes.model_saving import checkpoint_save
from drawing import draw
from measure import SIDE, TONES, Mask, judge, mask_of, measure
from report_numbers import Store, overlap, paragraph, percent, table
from report_studio import How, Studio, parts, to_images
from scenes import COLOURS, Scene, random_scene

CONTROLNET, LORA, EMBEDDING = "demo_edges.safetensors", "demo_outlined.safetensors", "demo_night.safetensors"
EDGES = (0.1, 0.4)  # Canny's thresholds, which find the edges of every colour on every other

BAND = 4  # pixels along a shape's edge that an outline is looked for in
DARK = 70.0  # the brightest channel of a pixel of an outline


def followed(studio: Studio, count: int, strength: float, *, kind_said: bool) -> dict[str, float]:
    """How well pictures follow the edges of a shape at any place and of any size."""
    network = control_net_loader(studio.context, studio.need("controlnet", CONTROLNET))
    scenes = _anywhere(count)
    overlaps, kinds, colours = [], [], []
    for number, chosen in enumerate(parts(scenes)):
        given = [draw(scene) for scene in chosen]
        prompts = [full_caption(scene) if kind_said else _colour_only(scene) for scene in chosen]
        hint = canny_edges(to_images(given), *EDGES)
        positive, negative = control_net_apply_advanced(
            studio.encode(prompts), studio.encode([""]), network, hint, strength, 0.0, 1.0
        )
        latent = empty_latent_image(SIDE, SIDE, len(chosen))
        made = studio.decode(studio.sample(positive, negative, latent, How(seed=number)))
        for scene, before, after in zip(chosen, given, made, strict=True):
            found = judge(scene, after)
            overlaps.append(overlap(mask_of(before), mask_of(after)))
            kinds.append(found.shape)
            colours.append(found.colour)
    return {"overlap": mean(overlaps), "shape": mean(kinds), "colour": mean(colours)}


def controlnet(studio: Studio, store: Store, quick: bool) -> str:
    """What the ControlNet does, with a prompt that tells all and with one that leaves the kind open."""
    count = 8 if quick else 96
    rows = []
    for kind_said, prompt in ((True, "a red circle on ..."), (False, "a red shape on ...")):
        for strength in (0.0, 0.5, 1.0):

            def at(strength: float = strength, kind_said: bool = kind_said) -> dict[str, float]:
                return followed(studio, count, strength, kind_said=kind_said)

            found = store.numbers(f"{prompt} {strength:g}", at)
            rows.append(
                (
                    prompt,
                    f"{strength:g}",
                    f"{found['overlap']:.2f}",
                    percent(found["shape"]),
                    percent(found["colour"]),
                )
            )
    said = paragraph(
        f"""{count} pictures a row. The edges are Canny's, of a drawn shape at a random place and of a
        random size that the prompt does not tell; its overlap with the shape in the picture is intersection
        over union."""
    )
    head = ("prompt", "strength", "overlap", "right kind", "right colour")
    return f"{said}\n\n{table(head, rows)}"


def with_lora(studio: Studio, strength: float) -> Studio:
    """The model with the LoRA."""
    name = studio.need("loras", LORA)
    return studio.using(*lora_loader(studio.context, studio.model, studio.clip, name, strength, strength))


def with_half_merged(studio: Studio) -> Studio:
    """The model mixed half and half with one that the LoRA was worked into, saved and loaded again."""
    full, context = with_lora(studio, 1.0), studio.context
    shown = checkpoint_save(context, full.model, full.clip, full.vae, "checkpoints/outlined")
    saved = shown.ui["models"][0]["filename"]
    path = studio.settings.home.find("checkpoints", saved)
    try:
        model, clip, _ = checkpoint_loader_simple(context, saved)
        return studio.using(
            model_merge_simple(context, model, studio.model, 0.5),
            clip_merge_simple(context, clip, studio.clip, 0.5),
        )
    finally:
        path.unlink()  # what is open stays mapped


def outlined(pictures: Sequence[Image.Image]) -> float:
    """The part of the band along shapes' edges that is dark, in the mean of pictures that have shapes."""
    parts_dark = []
    for picture in pictures:
        pixels = np.asarray(picture, dtype=np.float32)
        shape = _silhouette(picture, pixels)
        band = shape & ~ndimage.binary_erosion(shape, iterations=BAND)
        if band.any():
            parts_dark.append(float((pixels[band].max(-1) < DARK).mean()))
    return mean(parts_dark) if parts_dark else 0.0


def styled_scenes(count: int) -> list[Scene]:
    """Scenes of one shape without black, which could be taken for an outline."""
    random, found = Random("outlines"), list[Scene]()
    while len(found) < count:
        scene = random_scene(random, 1, unseen=True)
        if "black" not in (scene.background, scene.shapes[0].colour):
            found.append(scene)
    return found


def lora(studio: Studio, store: Store, quick: bool) -> str:
    """The style of the LoRA by strength, and whether merging half of it is the same as half its strength."""
    scenes = styled_scenes(8 if quick else 64)
    prompts = [full_caption(scene) for scene in scenes]

    def drawn(model: Studio) -> dict[str, float]:
        pictures = model.draw(prompts)
        right = [judge(scene, one).colour for scene, one in zip(scenes, pictures, strict=True)]
        return {"dark": outlined(pictures), "colour": mean(right)}

    rows = []
    for strength in (0.0, 0.25, 0.5, 0.75, 1.0):

        def at(strength: float = strength) -> dict[str, float]:
            return drawn(with_lora(studio, strength))

        rows.append((f"strength {strength:g}", store.numbers(f"strength {strength:g}", at)))
    rows.append(("merged at 0.5", store.numbers("merged", lambda: drawn(with_half_merged(studio)))))
    apart = store.numbers("merged against strength 0.5", lambda: half_against_half(studio, prompts))
    flat = [draw(scene) for scene in scenes]
    outlines = [draw(scene, style="outlined") for scene in scenes]
    return "\n\n".join(
        (
            paragraph(
                f"""{len(scenes)} pictures a row. The style is a black outline: the dark part of the {BAND}
                pixels along the edges of shapes, {percent(outlined(outlines))} in drawn pictures with
                outlines and {percent(outlined(flat))} in ones without."""
            ),
            table(
                ("LoRA", "dark part of the edges", "right colour"),
                [(name, percent(one["dark"]), percent(one["colour"])) for name, one in rows],
            ),
            paragraph(
                f"""Merged: the LoRA at strength 1 is worked into the weights, saved (CheckpointSave),
                loaded, and mixed half and half with the model without it (ModelMergeSimple,
                CLIPMergeSimple). Against strength 0.5, values of pixels differ by {apart["largest"]:g} of
                255 at the most and {apart["mean"]:.4f} in the mean."""
            ),
        )
    )


def half_against_half(studio: Studio, prompts: Sequence[str]) -> dict[str, float]:
    """How much pictures of half a merge differ from those of half the strength, in units of 1 / 255."""
    ours, theirs = (
        to_images(one.draw(prompts)) for one in (with_half_merged(studio), with_lora(studio, 0.5))
    )
    apart = (ours - theirs).abs() * 255
    return {"largest": round(float(apart.max()), 2), "mean": float(apart.mean())}


def embedding(studio: Studio, store: Store, quick: bool) -> str:
    """What the textual inversion draws, beside what no prompt at all does."""
    count = 16 if quick else 128
    name = studio.need("embeddings", EMBEDDING).removesuffix(".safetensors")
    rows = []
    for prompt in (f"embedding:{name}", ""):

        def of(prompt: str = prompt) -> dict[str, float]:
            return nights(studio, prompt, count)

        found = store.numbers(prompt or "no prompt", of)
        rows.append((f"`{prompt}`" if prompt else "no prompt", *(percent(part) for part in found.values())))
    head = ("prompt", "a yellow circle", "a purple background", "both")
    return f"{count} pictures a row.\n\n{table(head, rows)}"


def nights(studio: Studio, prompt: str, count: int) -> dict[str, float]:
    """How often a prompt draws one yellow circle, a purple background, and both."""
    found = [measure(picture) for picture in studio.draw([prompt] * count)]
    moons = [
        [(one.colour, one.kind) for one in picture.regions] == [("yellow", "circle")] for picture in found
    ]
    purple = [picture.background == "purple" for picture in found]
    both = [shape and sky for shape, sky in zip(moons, purple, strict=True)]
    return {"moon": mean(moons), "background": mean(purple), "both": mean(both)}


def _anywhere(count: int) -> list[Scene]:
    """Scenes of one shape of any size at any place, of combinations that were not trained on."""
    random, found = Random("edges"), list[Scene]()
    while len(found) < count:
        scene = random_scene(random, 1, unseen=True)
        radius = random.uniform(0.14, 0.34)
        x, y = (random.uniform(radius + 0.02, 0.98 - radius) for _ in range(2))
        shape = replace(scene.shapes[0], size="medium", x=x, y=y, radius=radius)
        found.append(replace(scene, shapes=(shape,), pattern="plain", position=None))
    return found


def _colour_only(scene: Scene) -> str:
    (shape,) = scene.shapes
    return full_caption(replace(scene, shapes=(replace(shape, kind="shape"),)))


def _silhouette(picture: Image.Image, pixels: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Mask:
    """Everything that is not background, outlines too."""
    names = list(COLOURS)
    background = names.index(measure(picture).background)
    own = TONES[[background, len(names) + background]]
    nearest = np.sqrt(np.square(pixels[..., None, :] - own).sum(-1)).min(-1)
    return np.asarray(ndimage.binary_opening(nearest > 48, iterations=1))
