from __future__ import annotations

from typing import Any

import pytest
import torch
from nodes_support import Run

from comfykit.errors import UsageError
from comfykit.families.conditioning import to_link
from comfykit.nodes.conditioning import (
    clip_text_encode_controlnet,
    conditioning_average,
    conditioning_combine,
    conditioning_concat,
    conditioning_set_area,
    conditioning_set_area_percentage,
    conditioning_set_area_percentage_video,
    conditioning_set_area_strength,
    conditioning_set_mask,
    conditioning_set_timestep_range,
    conditioning_zero_out,
)
from comfykit.nodes.conditioning_sdxl import clip_text_encode_sdxl, clip_text_encode_sdxl_refiner
from comfykit.text.clip import EncodedPrompt


def prompt(value: float, tokens: int = 2, *, pooled: bool = True, **options: Any) -> list[list[Any]]:
    own = {"pooled_output": torch.full((1, 3), value)} if pooled else {}
    return [[torch.full((1, tokens, 4), value), {**own, **options}]]


class Echo:
    """A text encoder that notes what it was asked."""

    hooks = None

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def encode(self, prompts: Any, residency: object, embeddings: object) -> EncodedPrompt:
        self.asked.append(prompts)
        return EncodedPrompt(torch.ones(1, 77, 4), torch.ones(1, 3))


def test_combining_keeps_both() -> None:
    one, two = prompt(1.0), prompt(2.0)
    assert conditioning_combine(one, two) == [*one, *two]


def test_concatenating_puts_the_first_of_the_others_tokens_behind() -> None:
    to = [*prompt(1.0, area=(1, 1, 0, 0)), *prompt(2.0, pooled=False)]
    found = conditioning_concat(to, [*prompt(3.0, 4), *prompt(9.0)])
    assert [entry[0][0, :, 0].tolist() for entry in found] == [[1, 1, 3, 3, 3, 3], [2, 2, 3, 3, 3, 3]]
    assert found[0][1] is not to[0][1]
    assert found[0][1]["area"] == (1, 1, 0, 0)
    assert "pooled_output" not in found[1][1]


@pytest.mark.parametrize(("tokens", "expected"), [(2, [1.75, 1.75]), (1, [1.75, 0.75]), (4, [1.75, 1.75])])
def test_averaging_cuts_or_fills_the_other_prompt(tokens: int, expected: list[float]) -> None:
    found = conditioning_average(prompt(3.0, 2), prompt(1.3333333, tokens), 0.25)
    assert found[0][0][0, :, 0].tolist() == pytest.approx(expected)
    assert found[0][1]["pooled_output"].tolist() == [pytest.approx([1.75] * 3)]


def test_averaging_without_pooled_vectors() -> None:
    bare = conditioning_average(prompt(1.0, pooled=False), prompt(2.0, pooled=False), 0.5)
    assert bare[0][1] == {}
    taken = conditioning_average(prompt(1.0, pooled=False), prompt(2.0), 0.5)
    assert taken[0][1]["pooled_output"].tolist() == [[2.0] * 3]
    kept = conditioning_average(prompt(1.0), prompt(2.0, pooled=False), 0.5)
    assert kept[0][1]["pooled_output"].tolist() == [[1.0] * 3]


def test_an_empty_conditioning_is_refused() -> None:
    for mix in (conditioning_concat, lambda a, b: conditioning_average(a, b, 0.5)):
        with pytest.raises(UsageError, match="the conditioning is empty"):
            mix(prompt(1.0), [])


def test_zeros() -> None:
    given = [*prompt(2.0, strength=0.5), *prompt(1.0, pooled=False)]
    found = conditioning_zero_out(given)
    assert not any(bool(entry[0].any()) for entry in found)
    assert not bool(found[0][1]["pooled_output"].any())
    assert found[0][1]["strength"] == 0.5
    assert bool(given[0][1]["pooled_output"].all())


def test_areas() -> None:
    (entry,) = conditioning_set_area(prompt(1.0, set_area_to_bounds=True), 64, 128, 8, 24, 0.5)
    assert (entry[1]["area"], entry[1]["strength"]) == ((16, 8, 3, 1), 0.5)
    assert entry[1]["set_area_to_bounds"] is False
    (entry,) = conditioning_set_area_percentage(prompt(1.0), 0.5, 0.25, 0.1, 0.2, 1.0)
    assert entry[1]["area"] == ("percentage", 0.25, 0.5, 0.2, 0.1)
    (entry,) = conditioning_set_area_percentage_video(prompt(1.0), 0.5, 0.25, 0.75, 0.1, 0.2, 0.3, 1.0)
    assert entry[1]["area"] == ("percentage", 0.75, 0.25, 0.5, 0.3, 0.2, 0.1)
    (entry,) = conditioning_set_area_strength([entry], 3.0)
    assert (entry[1]["strength"], entry[1]["area"][0]) == (3.0, "percentage")


@pytest.mark.parametrize(("word", "bounds"), [("default", False), ("mask bounds", True)])
def test_masks(word: str, bounds: bool) -> None:
    (entry,) = conditioning_set_mask(prompt(1.0), torch.ones(8, 8), 0.7, word)
    assert entry[1]["mask"].shape == (1, 8, 8)
    assert (entry[1]["mask_strength"], entry[1]["set_area_to_bounds"]) == (0.7, bounds)


def test_ranges() -> None:
    given = prompt(1.0)
    (entry,) = conditioning_set_timestep_range(given, 0.2, 0.8)
    assert (entry[1]["start_percent"], entry[1]["end_percent"]) == (0.2, 0.8)
    assert "start_percent" not in given[0][1]


def test_sdxl_is_told_sizes_and_two_prompts(run: Run) -> None:
    clip = Echo()
    (entry,) = clip_text_encode_sdxl(run.context, clip, 1024, 768, 64, 32, 896, 1152, "big", "small")  # type: ignore[arg-type]
    assert clip.asked == [{"clip_g": "big", "clip_l": "small"}]
    pooled = entry[1].pop("pooled_output")
    assert pooled.shape == (1, 3)
    assert entry[1] == {
        "width": 1024,
        "height": 768,
        "crop_w": 64,
        "crop_h": 32,
        "target_width": 896,
        "target_height": 1152,
    }
    (entry,) = clip_text_encode_sdxl_refiner(run.context, 2.5, 512, 640, "fox", clip)  # type: ignore[arg-type]
    assert clip.asked[1:] == ["fox"]
    assert entry[1] | {"pooled_output": None} == {
        "pooled_output": None,
        "aesthetic_score": 2.5,
        "width": 512,
        "height": 640,
    }


def test_controlnets_may_have_a_prompt_of_their_own(run: Run) -> None:
    (entry,) = clip_text_encode_controlnet(run.context, Echo(), prompt(3.0), "edges")  # type: ignore[arg-type]
    assert bool((entry[0] == 3).all())
    assert entry[1]["cross_attn_controlnet"].shape == (1, 77, 4)
    assert entry[1]["pooled_output_controlnet"].shape == (1, 3)


def test_an_encoded_prompt_travels_as_comfyuis() -> None:
    encoded = EncodedPrompt(torch.ones(1, 77, 4), torch.ones(1, 3))
    assert to_link(encoded) == [[encoded.embedding, {"pooled_output": encoded.pooled}]]
