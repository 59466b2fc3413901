from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from comfykit.errors import UsageError
from comfykit.sampling.level_schedules import (
    exponential_sigmas,
    karras_sigmas,
    laplace_sigmas,
    ltxv_sigmas,
    polyexponential_sigmas,
    vp_sigmas,
)


@pytest.mark.parametrize(
    "schedule", [karras_sigmas, exponential_sigmas, polyexponential_sigmas, laplace_sigmas]
)
@pytest.mark.parametrize("steps", [2, 3, 20])
def test_schedules_fall_from_one_level_to_the_other_and_then_to_zero(
    schedule: Callable[..., Tensor], steps: int
) -> None:
    sigmas = schedule(steps, 14.0, 0.05)
    assert sigmas.dtype == torch.float32
    assert len(sigmas) == steps + 1
    assert bool((sigmas.diff() < 0).all())
    assert sigmas[[0, -2, -1]].tolist() == pytest.approx([14.0, 0.05, 0.0], rel=1e-5)


def test_karras_by_hand() -> None:
    assert karras_sigmas(3, 16.0, 1.0, rho=2.0).tolist() == pytest.approx([16.0, 6.25, 1.0, 0.0])


def test_exponential_by_hand() -> None:
    assert exponential_sigmas(3, 16.0, 1.0).tolist() == pytest.approx([16.0, 4.0, 1.0, 0.0])


def test_polyexponential_by_hand() -> None:
    assert polyexponential_sigmas(3, 16.0, 1.0, rho=2.0).tolist() == pytest.approx([16.0, 2.0, 1.0, 0.0])
    torch.testing.assert_close(polyexponential_sigmas(7, 16.0, 1.0), exponential_sigmas(7, 16.0, 1.0))


def test_vp_by_hand() -> None:
    sigmas = vp_sigmas(2, beta_d=19.9, beta_min=0.1, eps_s=1e-3)
    last = math.sqrt(math.expm1(19.9 * 1e-6 / 2 + 0.1 * 1e-3))
    assert sigmas.tolist() == pytest.approx([math.sqrt(math.exp(10.05) - 1), last, 0.0], rel=1e-5)


def test_laplace_has_its_median_in_the_middle_and_its_quartiles_around() -> None:
    sigmas = laplace_sigmas(5, 100.0, 0.01, mu=1.0, beta=0.5)
    quartile = 0.5 * math.log(2)
    assert sigmas[1:4].log().tolist() == pytest.approx([1 + quartile, 1.0, 1 - quartile], rel=1e-5)
    assert laplace_sigmas(3, 100.0, 0.01, mu=1.0, beta=0.0).tolist() == pytest.approx([math.e] * 3 + [0.0])


def test_ltxv_without_a_shift_is_even() -> None:
    assert ltxv_sigmas(4, 1024, 2.0, 0.0, terminal=None).tolist() == pytest.approx([1, 0.75, 0.5, 0.25, 0])


def test_ltxv_shifts_more_for_more_tokens_and_stretches_to_the_terminal() -> None:
    few, many = (ltxv_sigmas(4, tokens, 2.05, 0.95, terminal=None) for tokens in (1024, 4096))
    assert many[2] > few[2]
    assert float(few[2]) == pytest.approx(1 / (1 + math.exp(-0.95)))
    assert float(many[2]) == pytest.approx(1 / (1 + math.exp(-2.05)))
    assert ltxv_sigmas(4, 4096, 2.05, 0.95, terminal=0.1)[[0, -2, -1]].tolist() == pytest.approx([1, 0.1, 0])
    assert ltxv_sigmas(1, 4096, 2.05, 0.95, terminal=0.1).tolist() == [1.0, 0.0]


def test_levels_without_an_answer_are_refused() -> None:
    with pytest.raises(UsageError, match="levels above 0"):
        exponential_sigmas(5, 14.0, 0.0)
    with pytest.raises(UsageError, match="rho above 0"):
        karras_sigmas(5, 14.0, 0.1, rho=0.0)
