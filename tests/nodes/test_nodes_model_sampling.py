from __future__ import annotations

from typing import Any, cast

import pytest
import torch

from comfykit.errors import UsageError
from comfykit.families.components import DiffusionModel
from comfykit.families.sd15 import SD15
from comfykit.nodes.model_sampling import (
    CONTINUOUS,
    DISCRETE,
    model_sampling_continuous_edm,
    model_sampling_continuous_v,
    model_sampling_discrete,
)
from comfykit.sampling.distilled_levels import ConsistencyPrediction
from comfykit.sampling.parametrization import EDMPrediction, EpsPrediction, VPrediction


@pytest.fixture
def model() -> DiffusionModel:
    network = cast(Any, object())
    return DiffusionModel(network, SD15, SD15.levels(), SD15.parametrization)


def test_zsnr_ends_in_noise(model: DiffusionModel) -> None:
    found = model_sampling_discrete(model, "v_prediction", True)
    assert isinstance(found.parametrization, VPrediction)
    assert found.levels.sigma_max > 4000
    assert found.network is model.network
    back = model_sampling_discrete(found, "eps", False)
    assert isinstance(back.parametrization, EpsPrediction)
    assert torch.equal(back.levels.sigmas, model.levels.sigmas)


@pytest.mark.parametrize("sampling", DISCRETE)
def test_discrete_kinds(model: DiffusionModel, sampling: str) -> None:
    assert model_sampling_discrete(model, sampling, False).parametrization is DISCRETE[sampling]


def test_lcm_knows_fifty_levels(model: DiffusionModel) -> None:
    found = model_sampling_discrete(model, "lcm", False)
    assert isinstance(found.parametrization, ConsistencyPrediction)
    assert found.parametrization.levels is found.levels
    assert len(found.levels.sigmas) == 50


@pytest.mark.parametrize("sampling", CONTINUOUS)
def test_continuous_kinds(model: DiffusionModel, sampling: str) -> None:
    found = model_sampling_continuous_edm(model, sampling, 80.0, 0.01)
    assert found.parametrization is CONTINUOUS[sampling]
    assert (found.levels.sigma_max, found.levels.sigma_min) == (80.0, 0.01)


def test_playground_has_latents_of_its_own(model: DiffusionModel) -> None:
    found = model_sampling_continuous_edm(model, "edm_playground_v2.5", 80.0, 0.002)
    assert isinstance(found.parametrization, EDMPrediction)
    latent = torch.randn(1, 4, 32, 32) * 6 + 1
    form = found.family.latent_format
    torch.testing.assert_close(form.from_model(form.to_model(latent)), latent, atol=1e-4, rtol=1e-4)
    means = torch.tensor([-1.6574, 1.886, -1.383, 2.5155]).reshape(1, 4, 1, 1).expand(1, 4, 2, 2)
    torch.testing.assert_close(form.to_model(means), torch.zeros(1, 4, 2, 2), atol=1e-4, rtol=0)
    assert model.family.latent_format is SD15.latent_format


def test_continuous_v_is_told_the_arc_tangent(model: DiffusionModel) -> None:
    found = model_sampling_continuous_v(model, "v_prediction", 500.0, 0.03)
    assert float(found.levels.timestep(torch.tensor(1.0))) == pytest.approx(0.5)


def test_levels_that_are_none_are_refused(model: DiffusionModel) -> None:
    with pytest.raises(UsageError, match="above 0"):
        model_sampling_continuous_edm(model, "eps", 80.0, 0.0)
    with pytest.raises(UsageError, match="at least sigma_min"):
        model_sampling_continuous_v(model, "v_prediction", 0.01, 0.03)
