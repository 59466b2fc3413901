"""Nodes that change what a model's output means, and which noise levels it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated

from comfykit.engine.define import boolean, combo, node, number
from comfykit.errors import UsageError
from comfykit.families import looks
from comfykit.families.family import LatentFormat
from comfykit.nodes.types import Model
from comfykit.sampling.continuous_levels import (
    AngularNoiseLevels,
    ContinuousNoiseLevels,
    FlowTimeNoiseLevels,
)
from comfykit.sampling.distilled_levels import ConsistencyPrediction, DistilledNoiseLevels
from comfykit.sampling.noise_levels import scaled_linear_levels
from comfykit.sampling.parametrization import (
    EDMPrediction,
    EpsPrediction,
    FlowTimePrediction,
    ImageToImage,
    Parametrization,
    VPrediction,
    X0Prediction,
)

CATEGORY = "advanced/model"

DISCRETE: Mapping[str, Parametrization] = MappingProxyType(
    {
        "eps": EpsPrediction(),
        "v_prediction": VPrediction(),
        "x0": X0Prediction(),
        "img_to_img": ImageToImage(),
    }
)
CONTINUOUS: Mapping[str, Parametrization] = MappingProxyType(
    {
        "v_prediction": VPrediction(),
        "edm": EDMPrediction(),
        "edm_playground_v2.5": EDMPrediction(),
        "eps": EpsPrediction(),
        "cosmos_rflow": FlowTimePrediction(),
    }
)

PLAYGROUND_MEAN = (-1.6574000120162964, 1.8860000371932983, -1.3830000162124634, 2.515500068664551)
PLAYGROUND_STD = (8.49269962310791, 5.902200222015381, 6.549799919128418, 5.229899883270264)
PLAYGROUND_LATENTS = LatentFormat(
    channels=4,
    scale=tuple(0.5 / std for std in PLAYGROUND_STD),
    shift=PLAYGROUND_MEAN,
    look=looks.PLAYGROUND,
)
"""Playground v2.5 was trained on latents that are normalised for each channel, to a deviation of 0.5."""


@node("ModelSamplingDiscrete", title="ModelSamplingDiscrete", category=CATEGORY)
def model_sampling_discrete(
    model: Model,
    sampling: Annotated[str, combo(("eps", "v_prediction", "lcm", "x0", "img_to_img"))],
    zsnr: Annotated[bool, boolean(False)],
) -> Model:
    """Say what a model with 1,000 noise levels predicts: noise, velocity, the picture itself.

    "lcm" is for latent consistency models, which know 50 of the levels. `zsnr` stretches the levels until the
    last one is pure noise, for models that were trained so.
    """
    levels = scaled_linear_levels(zero_terminal_snr=zsnr)
    if sampling == "lcm":
        distilled = DistilledNoiseLevels(levels)
        return replace(model, levels=distilled, parametrization=ConsistencyPrediction(distilled))
    return replace(model, levels=levels, parametrization=DISCRETE[sampling])


@node("ModelSamplingContinuousEDM", title="ModelSamplingContinuousEDM", category=CATEGORY)
def model_sampling_continuous_edm(
    model: Model,
    sampling: Annotated[str, combo(tuple(CONTINUOUS))],
    sigma_max: Annotated[float, number(120.0, 0.0, 1000.0, 0.001, round=False)],
    sigma_min: Annotated[float, number(0.002, 0.0, 1000.0, 0.001, round=False)],
) -> Model:
    """Say what a model predicts that knows every noise level between two and is told their logarithm."""
    _check(sigma_max, sigma_min)
    levels = ContinuousNoiseLevels(sigma_min, sigma_max)
    if sampling == "cosmos_rflow":
        levels = FlowTimeNoiseLevels(sigma_min, sigma_max)
    if sampling == "edm_playground_v2.5":
        model = replace(model, family=replace(model.family, latent_format=PLAYGROUND_LATENTS))
    return replace(model, levels=levels, parametrization=CONTINUOUS[sampling])


@node("ModelSamplingContinuousV", title="ModelSamplingContinuousV", category=CATEGORY)
def model_sampling_continuous_v(
    model: Model,
    sampling: Annotated[str, combo(("v_prediction",))],
    sigma_max: Annotated[float, number(500.0, 0.0, 1000.0, 0.001, round=False)],
    sigma_min: Annotated[float, number(0.03, 0.0, 1000.0, 0.001, round=False)],
) -> Model:
    """Say that a model predicts velocity at every noise level between two and is told their arc tangent."""
    _check(sigma_max, sigma_min)
    levels = AngularNoiseLevels(sigma_min, sigma_max)
    return replace(model, levels=levels, parametrization=VPrediction())


def _check(sigma_max: float, sigma_min: float) -> None:
    if not 0 < sigma_min <= sigma_max:
        raise UsageError(
            f"noise levels must be above 0 and sigma_max at least sigma_min, not {sigma_max} and {sigma_min}"
        )
