from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from comfykit.errors import UsageError
from comfykit.sampling.conditioning import (
    Area,
    Cond,
    PlacedCond,
    RelativeArea,
    fit_mask,
    place_sides,
    repeat_to_batch,
)

X = torch.zeros(2, 4, 16, 32)


def cond(**fields: Any) -> Cond:
    return Cond(torch.zeros(1, 77, 8), **fields)


def placed(given: Cond, x: Tensor = X) -> PlacedCond:
    return place_sides(([given], []), x)[0][0]


def weight_of(given: Cond, x: Tensor = X) -> Tensor:
    weight = placed(given, x).weight
    assert isinstance(weight, Tensor)
    return weight


def test_without_an_area_the_whole_latent_counts_alike() -> None:
    found = placed(cond(strength=0.7))
    assert found.whole
    assert found.weight == 0.7
    assert X[found.region].shape == X.shape
    assert not placed(cond(strength=0.0)).whole


def test_the_embedding_is_repeated_to_the_batch() -> None:
    assert placed(cond()).cond.embedding.shape == (2, 77, 8)


def test_an_area_is_clipped_to_the_latent() -> None:
    region = placed(cond(area=Area((10, 100), (8, 20)))).region
    assert X[region].shape == (2, 4, 8, 12)


def test_a_relative_area_is_rounded_to_cells() -> None:
    region = placed(cond(area=RelativeArea((0.5, 0.3), (0.5, 0.0)))).region
    assert region[2:] == (slice(8, 16), slice(0, 10))
    tiny = placed(cond(area=RelativeArea((0.01, 0.01), (0.0, 0.0)))).region
    assert X[tiny].shape == (2, 4, 1, 1)


def test_an_area_outside_the_latent_is_refused() -> None:
    with pytest.raises(UsageError, match="outside the latent"):
        placed(cond(area=Area((8, 8), (16, 0))))


def test_an_area_fades_at_borders_inside_the_latent_only() -> None:
    # 8 rows from the upper edge: the lower border is inside and fades over a quarter of them.
    weight = weight_of(cond(area=Area((8, 32), (0, 0)), strength=2.0))
    assert weight.shape == (1, 1, 8, 32)
    assert weight[0, 0, :, 5].tolist() == [2, 2, 2, 2, 2, 2, 2, 1]


def test_a_wide_area_fades_over_eight_cells() -> None:
    x = torch.zeros(1, 4, 16, 100)
    weight = weight_of(cond(area=Area((16, 40), (0, 30))), x)
    rise = [i / 8 for i in range(1, 9)]
    assert weight[0, 0, 3].tolist() == [*rise, *[1.0] * 24, *reversed(rise)]


def test_an_area_in_a_latent_with_a_time_axis() -> None:
    x = torch.zeros(1, 16, 5, 8, 8)
    weight = weight_of(cond(area=Area((2, 8, 4), (0, 0, 4))), x)
    assert weight.shape == (1, 1, 2, 8, 4)
    assert weight[0, 0, 0, 0].tolist() == [1, 1, 1, 1]


def test_a_mask_is_resized_and_weighs_by_place() -> None:
    mask = torch.zeros(1, 128, 256)
    mask[:, :, 128:] = 1
    weight = weight_of(cond(mask=mask, mask_strength=0.5, strength=0.4))
    assert weight.shape == (2, 1, 16, 32)
    assert weight[0, 0, 7, [0, 31]].tolist() == pytest.approx([0.0, 0.2])


def test_a_mask_within_its_bounds_has_them_as_its_area_unfeathered() -> None:
    mask = torch.zeros(1, 16, 32)
    mask[:, 2:14, 10:13] = 0.5
    found = placed(cond(mask=mask, within_bounds=True))
    assert found.region[2:] == (slice(2, 14), slice(10, 18))  # 8 cells at least
    assert isinstance(found.weight, Tensor)
    assert found.weight[0, 0, 3].tolist() == [0.5] * 3 + [0.0] * 5


def test_a_mask_holds_for_every_frame_of_an_area() -> None:
    x = torch.zeros(1, 16, 5, 8, 8)
    found = placed(cond(mask=torch.ones(1, 8, 8), area=Area((2, 8, 8), (3, 0, 0))), x)
    assert isinstance(found.weight, Tensor)
    assert found.weight.shape == (1, 1, 2, 8, 8)


def test_an_empty_mask_within_its_bounds_is_everywhere_and_weighs_nothing() -> None:
    found = placed(cond(mask=torch.zeros(16, 32), within_bounds=True))
    assert X[found.region].shape == X.shape
    assert isinstance(found.weight, Tensor)
    assert float(found.weight.abs().max()) == 0


def test_model_inputs_over_the_latent_are_cut_with_it_and_others_are_not() -> None:
    over, beside = torch.arange(512.0).reshape(1, 1, 16, 32), torch.zeros(1, 2816)
    found = placed(cond(area=Area((16, 8), (0, 24)), model_inputs={"c_concat": over, "y": beside}))
    assert found.cond.model_inputs["c_concat"].shape == (2, 1, 16, 8)
    assert float(found.cond.model_inputs["c_concat"][1, 0, 0, 0]) == 24
    assert found.cond.model_inputs["y"].shape == (2, 2816)


def test_each_area_gets_a_counterpart_on_the_other_side() -> None:
    area = Area((16, 8), (0, 0))
    left = cond(area=area, strength=0.3, end_sigma=2.0, controls=("a net",))
    negative = Cond(torch.ones(1, 77, 8), controls=("another net",))
    ours, theirs = place_sides(([left, cond()], [negative]), X)
    assert [other.region[3] for other in theirs] == [slice(0, 32), slice(0, 8)]
    counterpart = theirs[1]
    assert float(counterpart.cond.embedding.mean()) == 1.0
    assert counterpart.cond.end_sigma == 2.0
    assert counterpart.cond.controls == ("a net",)
    assert torch.equal(torch.as_tensor(counterpart.weight), torch.as_tensor(ours[0].weight))
    assert len(ours) == 2


def test_a_counterpart_says_what_the_smallest_area_around_it_says() -> None:
    inner, outer = Area((4, 4), (2, 2)), Area((8, 8), (0, 0))
    everywhere, around = Cond(torch.zeros(1, 77, 8)), Cond(torch.ones(1, 77, 8), area=outer)
    _, theirs = place_sides(([cond(area=inner)], [everywhere, around]), X)
    assert float(theirs[2].cond.embedding.mean()) == 1.0


def test_an_area_that_both_sides_have_needs_no_counterpart() -> None:
    area = Area((16, 8), (0, 0))
    ours, theirs = place_sides(([cond(area=area)], [cond(area=area)]), X)
    assert len(ours) == len(theirs) == 1


def test_an_area_that_nothing_surrounds_gets_no_counterpart() -> None:
    _, theirs = place_sides(([cond(area=Area((16, 8), (0, 0)))], [cond(area=Area((4, 4), (0, 20)))]), X)
    assert len(theirs) == 1


def test_levels_at_which_a_conditioning_counts() -> None:
    some = cond(start_sigma=5.0, end_sigma=1.0)
    assert [some.active_at(sigma) for sigma in (5.1, 5.0, 1.0, 0.9)] == [False, True, True, False]
    assert cond().always_active
    assert not some.always_active


def test_masks_fit_any_latent() -> None:
    assert fit_mask(torch.ones(1, 128, 256), X).shape == (2, 1, 16, 32)
    assert fit_mask(torch.ones(3, 1, 16, 32), X).shape == (2, 1, 16, 32)
    assert fit_mask(torch.ones(64, 64), torch.zeros(1, 16, 5, 8, 8)).shape == (1, 1, 1, 8, 8)


def test_rows_are_repeated_in_turn_or_cut() -> None:
    rows = torch.arange(3.0)[:, None]
    assert repeat_to_batch(rows, 5).flatten().tolist() == [0, 1, 2, 0, 1]
    assert repeat_to_batch(rows, 2).flatten().tolist() == [0, 1]
    assert repeat_to_batch(rows[:1], 3).flatten().tolist() == [0, 0, 0]
