"""Sections of the report on what is drawn from prompts: at the usual setting, and at every other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from random import Random

from PIL import Image

from captions import full_caption
from comfykit.sampling.samplers import SAMPLERS
from comfykit.sampling.schedulers import SCHEDULERS
from measure import Judgement, judge
from report_numbers import BARS, PROPERTIES, Rate, Store, paragraph, percent, rates, table
from report_sheet import contact_sheet
from report_studio import Draws, How, Studio
from scenes import COLOURS, KINDS, Scene, random_scene

PROMPTS, FEWER = 500, 60  # of the first table, and of every row of the others
SHOWN = 40

# CFG++ moves along the prediction of the negative side, and is made for strengths from 1 to about 2
# ("CFG++: Manifold-constrained Classifier Free Guidance for Diffusion Models", Chung et al. 2024).
CFG_PP = 1.5

HEAD = ("right colour", "right shape", "right background", "right relation", "all of it")


def unseen_scenes(count: int, seed: str = "prompts") -> list[Scene]:
    """Scenes of combinations that were not trained on: of one shape and of two, in turn."""
    random = Random(seed)
    return [random_scene(random, 1 + number % 2, unseen=True) for number in range(count)]


def judged(draws: Draws, scenes: Sequence[Scene], how: How = How()) -> list[Judgement]:  # noqa: B008
    """Draw the captions of scenes, and judge each picture."""
    pictures = draws.draw([full_caption(scene) for scene in scenes], how)
    return [judge(scene, picture) for scene, picture in zip(scenes, pictures, strict=True)]


def held_out(studio: Studio, store: Store, quick: bool, sheet: Path) -> str:
    """What the model draws of what it was not trained on; writes the sheet of the first pictures."""
    scenes = unseen_scenes(PROMPTS // 10 if quick else PROMPTS)

    def measure() -> list[dict[str, bool | None]]:
        pictures = studio.draw([full_caption(scene) for scene in scenes])
        found = [judge(scene, picture) for scene, picture in zip(scenes, pictures, strict=True)]
        _save(contact_sheet(pictures[:SHOWN], [one.right for one in found[:SHOWN]]), sheet)
        return [asdict(one) for one in found]

    found = [Judgement(**one) for one in store.numbers("held out", measure)]
    singles, pairs = found[::2], found[1::2]
    bars = ("required", "", *(percent(BARS[name]) for name in PROPERTIES), "")
    return "\n\n".join(
        (
            table(
                ("prompts", "number", *HEAD),
                [
                    _row("one shape", singles),
                    _row("two shapes", pairs),
                    _row("all", found),
                    ("", "95 % interval", *_intervals(found)),
                    bars,
                ],
            ),
            "Prompts that name a kind, and the part of them with everything of a column right:",
            table(("kind", "number", *HEAD), [_row(kind, _with(scenes, found, kind=kind)) for kind in KINDS]),
            "Prompts that name a colour of a shape:",
            table(
                ("colour", "number", *HEAD),
                [_row(colour, _with(scenes, found, colour=colour)) for colour in COLOURS],
            ),
        )
    )


def samplers(studio: Studio, store: Store, quick: bool) -> str:
    """Every sampler at 20 steps."""
    scenes = unseen_scenes(FEWER // 10 if quick else FEWER)
    rows, broken = [], []
    for name, spec in SAMPLERS.items():
        how = How(sampler=name, cfg=CFG_PP if spec.needs_negative else How().cfg)

        def measure(how: How = how) -> dict[str, object]:
            before = studio.counter.rows
            found = judged(studio, scenes, how)
            calls = (studio.counter.rows - before) / (2 * len(scenes) * how.steps)
            return {"calls": calls, "judged": [asdict(one) for one in found]}

        numbers = store.numbers(name, measure)
        found = [Judgement(**one) for one in numbers["judged"]]
        if name == "euler":
            least = rates(found)["all"].interval()[0]
        if rates(found)["all"].interval()[1] < least:
            broken.append(name)
        rows.append((f"`{name}`", f"{how.cfg:g}", f"{numbers['calls']:.1f}", *_cells(found)))
    said = ", ".join(f"`{name}`" for name in broken) or "none"
    return "\n\n".join(
        (
            paragraph(
                f"""{len(scenes)} prompts a row, the same for all. Calls are evaluations of the model per
                step, both sides of guidance counted as one; a sampler of two calls takes twice as long.
                `dpm_adaptive` chooses its steps itself. Names with `cfg_pp` are measured at the strength
                that they are made for, {CFG_PP:g}. `lcm` is made for models that were distilled for it,
                which this one is not."""
            ),
            table(("sampler", "cfg", "calls", *HEAD), rows),
            f"Samplers whose interval for all of it lies below that of euler: {said}.",
        )
    )


def settings(studio: Studio, store: Store, quick: bool) -> str:
    """Steps, strengths of guidance and schedulers, one changed at a time."""
    scenes = unseen_scenes(FEWER // 10 if quick else FEWER)

    def row(name: str, how: How) -> tuple[str, ...]:
        numbers = store.numbers(name, lambda: [asdict(one) for one in judged(studio, scenes, how)])
        return (name, *_cells([Judgement(**one) for one in numbers]))

    usual = How()
    steps = [row(f"{count} steps", replace(usual, steps=count)) for count in (4, 8, 12, 20, 30)]
    strengths = [row(f"cfg {cfg:g}", replace(usual, cfg=cfg)) for cfg in (1.0, 2.0, 3.0, 5.0, 8.0)]
    schedules = [row(name, replace(usual, scheduler=name)) for name in SCHEDULERS]
    return "\n\n".join(
        (
            paragraph(
                f"""{len(scenes)} prompts a row; euler with 20 steps, cfg 5 and the scheduler normal but for
                what the row says."""
            ),
            table(("steps", *HEAD), steps),
            table(("guidance", *HEAD), strengths),
            table(("scheduler", *HEAD), schedules),
        )
    )


def _with(
    scenes: Sequence[Scene], found: Sequence[Judgement], *, kind: str | None = None, colour: str | None = None
) -> list[Judgement]:
    """The judgements of scenes that have a shape of a kind, or of a colour."""
    return [
        one
        for scene, one in zip(scenes, found, strict=True)
        if any(kind in (None, shape.kind) and colour in (None, shape.colour) for shape in scene.shapes)
    ]


def _row(name: str, found: Sequence[Judgement]) -> tuple[str, ...]:
    return (name, str(len(found)), *_cells(found))


def _cells(found: Sequence[Judgement]) -> tuple[str, ...]:
    return tuple(str(one) for one in rates(found).values())


def _intervals(found: Sequence[Judgement]) -> tuple[str, ...]:
    def words(one: Rate) -> str:
        low, high = one.interval()
        return f"{percent(low)} to {percent(high)}"

    return tuple(words(one) for one in rates(found).values())


def _save(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, optimize=True)
