from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from comfykit.errors import UsageError
from comfykit.sampling.areas import (
    Area,
    RelativeArea,
    bounds_of,
    clipped,
    covers,
    feathered,
    in_cells,
    slices_of,
)

SPACE = (16, 32)


def test_cells_of_a_relative_area() -> None:
    assert in_cells(RelativeArea((0.5, 0.25), (0.5, 0.1)), SPACE) == Area((8, 8), (8, 3))
    assert in_cells(RelativeArea((0.0, 0.0), (0.0, 0.0)), SPACE) == Area((1, 1), (0, 0))


@given(st.tuples(st.integers(1, 50), st.integers(1, 50)), st.tuples(st.integers(0, 15), st.integers(0, 31)))
def test_a_clipped_area_lies_in_the_latent(size: tuple[int, int], start: tuple[int, int]) -> None:
    area = clipped(Area(size, start), SPACE)
    assert covers(Area(SPACE, (0, 0)), area)
    assert torch.zeros(SPACE)[slices_of(area)].shape == area.size


@pytest.mark.parametrize("start", [(16, 0), (0, 40)])
def test_an_area_beyond_the_latent_is_refused(start: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=r"lies outside the latent of \(16, 32\) cells"):
        clipped(Area((4, 4), start), SPACE)


def test_an_area_covers_itself_and_what_lies_within() -> None:
    area = Area((4, 4), (2, 2))
    assert covers(area, area)
    assert covers(area, Area((2, 2), (4, 4)))
    assert not covers(area, Area((3, 3), (4, 4)))
    assert not covers(area, Area((2, 2), (1, 2)))


def test_bounds_of_a_mask_hold_all_that_is_marked_in_any_picture() -> None:
    mask = torch.zeros(2, 1, 16, 32)
    mask[0, 0, 2, 5] = mask[1, 0, 13, 30] = 0.1
    assert bounds_of(mask) == Area((12, 26), (2, 5))


def test_a_feather_is_symmetric_and_leaves_the_middle_alone() -> None:
    weight = feathered(Area((8, 16), (4, 8)), SPACE)[0, 0]
    assert torch.equal(weight, weight.flip(0))
    assert torch.equal(weight, weight.flip(1))
    assert weight[4].tolist() == [0.25, 0.5, 0.75, *[1.0] * 10, 0.75, 0.5, 0.25]
    assert float(weight[0, 0]) == 0.5 * 0.25


def test_an_area_too_small_to_fade_does_not() -> None:
    assert feathered(Area((3, 3), (1, 1)), SPACE).unique().tolist() == [1.0]
