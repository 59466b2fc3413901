from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from comfykit.errors import UsageError
from comfykit.nodes.sigmas import (
    extend_intermediate_sigmas,
    flip_sigmas,
    manual_sigmas,
    sampling_percent_to_sigma,
    set_first_sigma,
    split_sigmas,
    split_sigmas_denoise,
)
from comfykit.sampling.noise_levels import scaled_linear_levels

SIGMAS = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.0])


def lists(parts: tuple[torch.Tensor, ...]) -> list[list[float]]:
    return [part.tolist() for part in parts]


def test_both_parts_of_a_split_have_the_level_between() -> None:
    assert lists(split_sigmas(SIGMAS, 1)) == [[8, 4], [4, 2, 1, 0]]
    assert lists(split_sigmas(SIGMAS, 0)) == [[8], [8, 4, 2, 1, 0]]
    assert lists(split_sigmas(SIGMAS, 9)) == [[8, 4, 2, 1, 0], []]


def test_denoise_is_the_part_of_the_steps_in_the_second_half() -> None:
    assert lists(split_sigmas_denoise(SIGMAS, 0.5)) == [[8, 4, 2], [2, 1, 0]]
    assert lists(split_sigmas_denoise(SIGMAS, 1.0)) == [[8], [8, 4, 2, 1, 0]]
    assert lists(split_sigmas_denoise(SIGMAS, 0.0)) == [[8, 4, 2, 1, 0], [0]]
    assert lists(split_sigmas_denoise(SIGMAS[:0], 0.5)) == [[], []]


def test_a_turned_schedule_begins_a_little_above_zero() -> None:
    assert flip_sigmas(SIGMAS).tolist() == pytest.approx([0.0001, 1, 2, 4, 8])
    assert flip_sigmas(torch.tensor([3.0, 1.0])).tolist() == [1, 3]
    assert flip_sigmas(SIGMAS[:0]).tolist() == []
    assert SIGMAS[-1] == 0


def test_the_first_level_is_replaced_in_a_copy() -> None:
    assert set_first_sigma(SIGMAS, 9.5).tolist() == [9.5, 4, 2, 1, 0]
    assert set_first_sigma(SIGMAS[:0], 9.5).tolist() == []
    assert SIGMAS[0] == 8


@pytest.mark.parametrize(
    ("spacing", "middle"), [("linear", 3.0), ("cosine", 4 - 2 * 0.5**0.5), ("sine", 2 + 2 * 0.5**0.5)]
)
def test_steps_between_two_levels_are_divided(spacing: str, middle: float) -> None:
    found = extend_intermediate_sigmas(SIGMAS, 2, 4.0, 3.0, spacing)
    assert found.tolist() == pytest.approx([8, 4, middle, 2, 1, 0])


def test_without_an_upper_end_all_high_steps_are_divided() -> None:
    found = extend_intermediate_sigmas(SIGMAS, 4, -1.0, 8.0, "linear")
    assert found.tolist() == [8, 7, 6, 5, 4, 2, 1, 0]
    assert extend_intermediate_sigmas(SIGMAS, 1, -1.0, 0.0, "linear").tolist() == SIGMAS.tolist()
    assert extend_intermediate_sigmas(SIGMAS[:0], 2, -1.0, 0.0, "linear").tolist() == []


def test_percent_to_sigma() -> None:
    levels = scaled_linear_levels()
    model = cast(Any, SimpleNamespace(levels=levels))
    assert sampling_percent_to_sigma(model, 0.5, False) == levels.percent_to_sigma(0.5)
    assert sampling_percent_to_sigma(model, 0.0, False) == 1e9
    assert sampling_percent_to_sigma(model, 0.0, True) == levels.sigma_max
    assert sampling_percent_to_sigma(model, 1.0, True) == levels.sigma_min


def test_a_schedule_is_written_by_hand() -> None:
    assert manual_sigmas("14.5, 3 0.5,0").tolist() == [14.5, 3.0, 0.5, 0.0]
    assert manual_sigmas("").tolist() == []


@pytest.mark.parametrize("written", ["1, x", "1; 2", "nan, 0", "-1, 0", "inf"])
def test_what_is_no_schedule_is_refused(written: str) -> None:
    with pytest.raises(UsageError, match=re.escape(repr(written))):
        manual_sigmas(written)
