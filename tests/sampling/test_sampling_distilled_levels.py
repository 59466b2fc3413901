from __future__ import annotations

import pytest
import torch

from comfykit.sampling.distilled_levels import ConsistencyPrediction, DistilledNoiseLevels
from comfykit.sampling.noise_levels import DiscreteNoiseLevels
from comfykit.sampling.parametrization import EpsPrediction


@pytest.fixture
def distilled(levels: DiscreteNoiseLevels) -> DistilledNoiseLevels:
    return DistilledNoiseLevels(levels)


def test_every_twentieth_level_is_kept(distilled: DistilledNoiseLevels, levels: DiscreteNoiseLevels) -> None:
    assert torch.equal(distilled.sigmas, levels.sigmas[19::20])
    assert len(distilled.sigmas) == 50
    assert (distilled.sigma_min, distilled.sigma_max) == (float(levels.sigmas[19]), levels.sigma_max)


def test_timesteps_are_those_of_the_whole_list(distilled: DistilledNoiseLevels) -> None:
    timesteps = torch.arange(19, 1000, 20)
    assert torch.equal(distilled.timestep(distilled.sigmas), timesteps)
    torch.testing.assert_close(distilled.sigma(timesteps), distilled.sigmas, rtol=1e-6, atol=0)
    low, high = distilled.sigmas[[10, 11]].tolist()
    assert float(distilled.sigma(torch.tensor(229.0))) == pytest.approx((low * high) ** 0.5, rel=1e-6)


def test_percent_to_sigma(distilled: DistilledNoiseLevels) -> None:
    assert (distilled.percent_to_sigma(0.0), distilled.percent_to_sigma(1.0)) == (1e9, 0.0)
    assert distilled.percent_to_sigma(0.5) == pytest.approx(float(distilled.sigma(torch.tensor(499.5))))


def test_the_consistency_function_is_nearly_the_prediction_of_x0(distilled: DistilledNoiseLevels) -> None:
    sigma = distilled.sigmas[[0, 49]]
    x = torch.ones(2, 4, 2, 2)
    eps = torch.full_like(x, 0.5)
    found = ConsistencyPrediction(distilled).denoised(sigma, eps, x)
    x0 = EpsPrediction().denoised(sigma, eps, x)
    for row, t in enumerate((190.0, 9990.0)):
        skip, out = 0.25 / (t**2 + 0.25), t / (t**2 + 0.25) ** 0.5
        torch.testing.assert_close(found[row], skip * x[row] + out * x0[row])
