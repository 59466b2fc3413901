from __future__ import annotations

import math

import pytest
import torch

from comfykit.sampling.continuous_levels import (
    AngularNoiseLevels,
    ContinuousNoiseLevels,
    FlowTimeNoiseLevels,
)
from comfykit.sampling.schedulers import SCHEDULERS, make_sigmas

KINDS = [ContinuousNoiseLevels, AngularNoiseLevels, FlowTimeNoiseLevels]


@pytest.mark.parametrize("kind", KINDS)
def test_timestep_and_sigma_are_each_others_inverse(kind: type[ContinuousNoiseLevels]) -> None:
    levels = kind(0.002, 120.0)
    sigma = torch.tensor([[0.002, 0.5], [1.0, 120.0]])
    torch.testing.assert_close(levels.sigma(levels.timestep(sigma)), sigma, rtol=1e-4, atol=0)


def test_times_by_hand() -> None:
    one = torch.tensor(1.0)
    assert float(ContinuousNoiseLevels(0.1, 10).timestep(one)) == 0
    assert float(ContinuousNoiseLevels(0.1, 10).timestep(torch.tensor(math.e))) == pytest.approx(0.25)
    assert float(AngularNoiseLevels(0.1, 10).timestep(one)) == pytest.approx(0.5)
    assert float(FlowTimeNoiseLevels(0.1, 10).timestep(one)) == pytest.approx(0.5)


def test_the_table_and_percents_are_even_in_log_sigma() -> None:
    levels = ContinuousNoiseLevels(0.01, 100.0)
    assert levels.sigmas.shape == (1000,)
    assert levels.sigmas[[0, -1]].tolist() == pytest.approx([0.01, 100.0])
    torch.testing.assert_close(
        levels.sigmas.log().diff(), torch.full((999,), math.log(1e4) / 999), rtol=1e-3, atol=0
    )
    assert levels.percent_to_sigma(0.5) == pytest.approx(1.0)
    assert levels.percent_to_sigma(0.25) == pytest.approx(10.0)
    assert (levels.percent_to_sigma(0.0), levels.percent_to_sigma(1.0)) == (1e9, 0.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_scheduler_finds_levels(kind: type[ContinuousNoiseLevels], scheduler: str) -> None:
    sigmas = make_sigmas(kind(0.002, 120.0), scheduler, 8)
    assert bool((sigmas.diff() < 0).all())
    assert float(sigmas[0]) <= 120.0 * (1 + 1e-3)
    assert sigmas[-1] == 0
