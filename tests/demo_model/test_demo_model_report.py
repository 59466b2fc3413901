"""The report's own arithmetic, with drawn pictures in the place of the model's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captions import full_caption
from drawing import draw
from measure import Judgement, judge
from report_control import outlined, styled_scenes
from report_numbers import Rate, Store, digest, overlap, psnr, rates, table
from report_quality import judged, unseen_scenes
from report_regions import LAYOUTS, in_boxes
from report_sheet import contact_sheet
from report_studio import How
from scenes import Scene, Shape, held_out


@dataclass
class Painter:
    """Draws prompts that are captions of known scenes, each as another scene where `instead` says so."""

    scenes: Sequence[Scene]
    instead: dict[str, Scene]

    def draw(self, prompts: Sequence[str], how: How = How(), negative: str = "") -> list[Image.Image]:  # noqa: B008
        known = {full_caption(scene): scene for scene in self.scenes}
        return [draw(self.instead.get(prompt, known[prompt])) for prompt in prompts]


def test_a_model_that_draws_every_prompt_is_right_in_everything() -> None:
    scenes = unseen_scenes(60)
    found = rates(judged(Painter(scenes, {}), scenes))
    assert {name: (one.right, one.of) for name, one in found.items()} == {
        "colour": (60, 60),
        "shape": (60, 60),
        "background": (60, 60),
        "relation": (30, 30),
        "all": (60, 60),
    }


def test_pictures_of_other_scenes_count_as_wrong() -> None:
    scenes = unseen_scenes(60)
    spoiled = {full_caption(scene): replace(scene, shapes=()) for scene in scenes[:12]}
    found = rates(judged(Painter(scenes, spoiled), scenes))
    right = sum(full_caption(scene) not in spoiled for scene in scenes)
    assert (found["colour"].right, found["background"].right, found["all"].right) == (right, 60, right)
    assert 40 < right <= 48


def test_prompts_are_of_combinations_that_were_not_trained_on() -> None:
    for number, scene in enumerate(unseen_scenes(100)):
        assert len(scene.shapes) == 1 + number % 2
        assert all(held_out(shape.kind, shape.colour, scene.background) for shape in scene.shapes)


def test_an_interval_is_wilsons() -> None:
    # Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I: 81 of 263.
    low, high = Rate(81, 263).interval()
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert Rate(0, 0).interval() == (0.0, 1.0)
    assert str(Rate(0, 0)) == "-"


def test_relations_that_are_not_asked_for_are_not_counted() -> None:
    found = rates([Judgement(True, True, True), Judgement(True, False, True, False)])
    assert found["relation"] == Rate(0, 1)
    assert found["all"] == Rate(1, 2)


def test_numbers_are_measured_once_for_the_same_files(tmp_path: Path) -> None:
    calls: list[int] = []

    def measure() -> int:
        calls.append(1)
        return len(calls)

    file = tmp_path / "section.json"
    assert Store(file, "files a").numbers("row", measure) == 1
    assert Store(file, "files a").numbers("row", measure) == 1
    assert Store(file, "files b").numbers("row", measure) == 2


def test_a_digest_tells_files_apart(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"a")
    two.write_bytes(b"b")
    assert len({digest([one]), digest([two]), digest([one, two]), digest([two, one])}) == 4


def test_likeness_and_overlap() -> None:
    black, gray = Image.new("RGB", (8, 8)), Image.new("RGB", (8, 8), (51, 51, 51))
    assert psnr(black, gray) == pytest.approx(13.979, abs=0.001)  # 20 log10(255 / 51)
    assert psnr(black, black) == 99
    left, top = np.zeros((4, 4), dtype=bool), np.zeros((4, 4), dtype=bool)
    left[:, :2], top[:2] = True, True
    assert overlap(left, top) == pytest.approx(4 / 12)
    assert overlap(~left, left) == 0


def test_outlines_are_found_by_their_dark_edges() -> None:
    scenes = styled_scenes(40)
    flat = outlined([draw(scene) for scene in scenes])
    thick = outlined([draw(scene, style="outlined") for scene in scenes])
    half = outlined([Image.blend(draw(scene), draw(scene, style="outlined"), 0.5) for scene in scenes])
    assert flat < 0.02
    assert thick > 0.8
    assert flat <= half < thick


def test_shapes_are_found_in_their_boxes() -> None:
    layout = LAYOUTS[0]
    left = Shape("circle", "red", "medium", 0.25, 0.5, 0.15)
    right = Shape("heart", "blue", "medium", 0.75, 0.5, 0.15)
    assert in_boxes(layout, draw(Scene((left, right), "white"))) == [("red", "circle"), ("blue", "heart")]
    assert in_boxes(layout, draw(Scene((right,), "white"))) == [None, ("blue", "heart")]


def test_wrong_pictures_have_a_frame_on_the_sheet() -> None:
    scenes = unseen_scenes(9)
    pictures = [draw(scene) for scene in scenes]
    right = [judge(scene, picture).right for scene, picture in zip(scenes, pictures, strict=True)]
    good = contact_sheet(pictures, right).convert("RGB")
    bad = contact_sheet(pictures, [False, *right[1:]]).convert("RGB")
    assert good.size == bad.size == (8 * 68 + 4, 2 * 68 + 4)
    assert good.getpixel((2, 30)) == (255, 255, 255)
    red, green, blue = bad.getpixel((2, 30))  # type: ignore[misc]
    assert (red > 200, green < 40, blue < 40) == (True, True, True)


def test_a_table_is_markdown() -> None:
    assert table(("a", "b"), [(1, "x")]) == "| a | b |\n| --- | --- |\n| 1 | x |"
