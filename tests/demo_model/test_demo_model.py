"""What the demo model can do: a small part of docs/demo-model.md, measured anew.

Where a rate is required, as many of the pictures must be right as a model of that rate gives in all but one
of a thousand runs.
"""

from __future__ import annotations

from statistics import mean

import pytest
from scipy.stats import binom

from captions import full_caption
from measure import judge
from report_control import (
    followed,
    half_against_half,
    nights,
    outlined,
    styled_scenes,
    with_half_merged,
    with_lora,
)
from report_numbers import BARS, rates
from report_pixels import UPSCALER_BAR, enlarged, there_and_back
from report_quality import CFG_PP, judged, unseen_scenes
from report_regions import LAYOUTS, Layout, regions_drawn
from report_studio import How, Studio, open_studio
from report_tasks import changed, colours_drawn, inpainted
from scenes import Scene, Shape

ALL_RIGHT = (
    0.7  # of prompts of one and of two shapes alike; what the bars amount to when errors are independent
)
CHANCE = 1e-3


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return open_studio(tmp_path_factory.mktemp("home"))


def least(required: float, count: int) -> int:
    """The number that a model which is right at the required rate falls short of once in a thousand runs."""
    return int(binom.ppf(CHANCE, count, required))


def test_the_least_number_is_fallen_short_of_once_in_a_thousand_runs() -> None:
    for required in BARS.values():
        assert (
            binom.cdf(least(required, 40) - 1, 40, required)
            <= CHANCE
            < binom.cdf(least(required, 40), 40, required)
        )


def test_prompts_of_unseen_combinations_are_drawn(studio: Studio) -> None:
    found = rates(judged(studio, unseen_scenes(40)))
    for name, required in BARS.items():
        assert found[name].right >= least(required, found[name].of), (name, found)


@pytest.mark.parametrize(
    "name", ["ddim", "dpmpp_2m", "euler_ancestral", "dpmpp_sde", "uni_pc", "euler_cfg_pp", "er_sde"]
)
def test_samplers_draw_prompts(studio: Studio, name: str) -> None:
    how = How(sampler=name, cfg=CFG_PP if name.endswith("cfg_pp") else How().cfg)
    found = rates(judged(studio, unseen_scenes(12, "samplers"), how))["all"]
    assert found.right >= least(ALL_RIGHT, found.of)


def test_a_colour_in_the_negative_prompt_is_drawn_less(studio: Studio) -> None:
    before = colours_drawn(studio, 28)
    usual = max(before, key=lambda colour: before[colour])
    assert usual
    assert colours_drawn(studio, 28, usual).get(usual, 0) < before[usual] / 2


def test_image_to_image_keeps_less_and_less(studio: Studio) -> None:
    first, second, third = (changed(studio, 8, denoise) for denoise in (0.3, 0.6, 0.9))
    assert first["psnr"] > second["psnr"] > third["psnr"]
    assert first["overlap"] > second["overlap"] > third["overlap"]
    assert first["right"] <= third["right"] > 0.4


def test_inpainting_draws_under_the_mask_and_changes_nothing_else(studio: Studio) -> None:
    found = inpainted(studio, 16)
    assert max(found["outside"]) == 0
    assert sum(found["colour"]) >= least(0.85, 16)
    assert sum(found["kind"]) >= least(0.75, 16)


@pytest.mark.parametrize("layout", LAYOUTS[:2], ids=lambda layout: layout.name)
def test_regions_have_shapes_of_their_own(studio: Studio, layout: Layout) -> None:
    found = regions_drawn(studio, layout, 12)
    assert sum(found["colour"]) >= least(0.85, 24)
    assert sum(found["kind"]) >= least(0.75, 24)


def test_the_controlnet_follows_edges(studio: Studio) -> None:
    without, along = (followed(studio, 12, strength, kind_said=False) for strength in (0.0, 1.0))
    assert along["overlap"] > without["overlap"] + 0.3
    assert along["shape"] > without["shape"]


def test_the_lora_draws_outlines_and_half_of_it_is_half(studio: Studio) -> None:
    scenes = styled_scenes(8)
    prompts = [full_caption(scene) for scene in scenes]
    models = (with_lora(studio, 0.0), with_half_merged(studio), with_lora(studio, 1.0))
    drawn = [model.draw(prompts) for model in models]
    none, half, full = (outlined(pictures) for pictures in drawn)
    assert none < 0.1
    assert full > 0.4
    assert none < half < full
    assert half_against_half(studio, prompts)["largest"] <= 2
    colours = [judge(scene, picture).colour for scene, picture in zip(scenes, drawn[0], strict=True)]
    assert sum(colours) >= least(BARS["colour"], 8)


def test_the_textual_inversion_draws_its_night(studio: Studio) -> None:
    assert nights(studio, "embedding:demo_night", 12)["both"] * 12 >= least(0.8, 12)


def test_the_upscaler_is_better_than_bicubic(studio: Studio) -> None:
    found = enlarged(studio, 16)
    assert found["network"] > found["bicubic"] + UPSCALER_BAR


def test_the_autoencoder_and_the_preview_are_like_the_pictures(studio: Studio) -> None:
    found = there_and_back(studio, 16, preview=True)
    assert found["vae"] > 28
    assert found["preview"] > 22


def test_seeds_draw_other_pictures_of_the_same_prompt(studio: Studio) -> None:
    scene = Scene((Shape("circle", "red", "medium", 0.5, 0.5, 0.2),), "white")
    pictures = studio.draw([full_caption(scene)] * 6)
    assert len({picture.tobytes() for picture in pictures}) == 6
    assert mean(judge(scene, picture).right for picture in pictures) > 0.6
