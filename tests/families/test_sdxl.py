from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from comfykit.errors import ModelFileError, UsageError
from comfykit.families.family import Scene
from comfykit.families.sdxl import SDXL, SDXL_REFINER, text_encoders
from comfykit.models.unet import UNetConfig
from comfykit.sampling.guidance import NEGATIVE, POSITIVE
from comfykit.sampling.parametrization import EDMPrediction, EpsPrediction, VPrediction
from comfykit.weights.detect import TextPart, UNetPart

POOLED = torch.randn(1, 40, generator=torch.Generator().manual_seed(0))
UNET = UNetPart("", UNetConfig())


def scene(numbers: int) -> Scene:
    """A run for a picture of 96 x 64 pixels, with a network that takes so many numbers."""
    config = UNetConfig(adm_in_channels=40 + 256 * numbers)
    latent = torch.zeros(1, 4, 8, 12)
    return Scene(latent, latent, None, config, SDXL.latent_format)


def sinusoids(number: float) -> list[float]:
    """Stability's embedding of a number in 256 values."""
    frequencies = [math.exp(-math.log(10000) * i / 128) for i in range(128)]
    return [math.cos(number * f) for f in frequencies] + [math.sin(number * f) for f in frequencies]


def check(y: Tensor, numbers: list[float]) -> None:
    assert torch.equal(y[:, :40], POOLED)
    for told, number in zip(y[0, 40:].split(256), numbers, strict=True):
        torch.testing.assert_close(told, torch.tensor(sinusoids(number)), rtol=1e-3, atol=1e-3)


SIZES = {
    "height": 768,
    "width": 1024,
    "crop_h": 32,
    "crop_w": 64,
    "target_height": 1152,
    "target_width": 896,
}


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (SIZES, [768, 1024, 32, 64, 1152, 896]),
        ({}, [64, 96, 0, 0, 64, 96]),
        ({"width": 1024, "height": 512}, [512, 1024, 0, 0, 512, 1024]),
    ],
)
def test_sizes_follow_the_pooled_prompt(options: dict[str, Any], numbers: list[float]) -> None:
    inputs = SDXL.model_inputs({"pooled_output": POOLED, **options}, POSITIVE, scene(6))
    assert list(inputs) == ["y"]
    check(inputs["y"], numbers)


@pytest.mark.parametrize(
    ("side", "options", "score"),
    [(POSITIVE, {}, 6.0), (NEGATIVE, {}, 2.5), (NEGATIVE, {"aesthetic_score": 7.5}, 7.5)],
)
def test_the_refiner_is_told_a_score(side: int, options: dict[str, Any], score: float) -> None:
    y = SDXL_REFINER.model_inputs({"pooled_output": POOLED, **options}, side, scene(5))["y"]
    check(y, [64, 96, 0, 0, score])


@pytest.mark.parametrize("options", [{}, {"pooled_output": None}, {"pooled_output": torch.zeros(1, 39)}])
def test_prompts_of_other_models_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="pooled vector of") as caught:
        SDXL.model_inputs(options, POSITIVE, scene(6))
    assert "text encoder" in str(caught.value.hint)


def test_an_inpainting_model_is_given_mask_and_picture() -> None:
    here = scene(6)
    here = replace(here, config=replace(here.config, in_channels=9))
    inputs = SDXL.model_inputs({"pooled_output": POOLED}, POSITIVE, here)
    assert inputs["concat"].shape == (1, 5, 8, 12)


def test_marks_tell_the_parametrization() -> None:
    mark = torch.tensor(1.0)
    plain = SDXL.variant(SDXL, {}, UNET)
    assert (plain.parametrization, plain.levels().sigma_max) == (
        EpsPrediction(),
        pytest.approx(14.6, abs=0.1),
    )
    velocity = SDXL.variant(SDXL, {"v_pred": mark}, UNET)
    assert velocity.parametrization == VPrediction()
    assert velocity.levels().sigma_max == pytest.approx(14.6, abs=0.1)
    pure = SDXL.variant(SDXL, {"v_pred": mark, "ztsnr": mark}, UNET)
    assert pure.parametrization == VPrediction()
    assert pure.levels().sigma_max > 4000
    assert SDXL.variant(SDXL, {"ztsnr": mark}, UNET) is SDXL
    assert SDXL_REFINER.variant(SDXL_REFINER, {"v_pred": mark}, UNET) is SDXL_REFINER


def test_cosxl_has_a_range_of_levels_and_edits_in_its_scale() -> None:
    marks = {"edm_vpred.sigma_max": torch.tensor(120.0), "edm_vpred.sigma_min": torch.tensor(0.01)}
    cosxl = SDXL.variant(SDXL, marks, UNET)
    assert cosxl.parametrization == VPrediction()
    assert (cosxl.levels().sigma_min, cosxl.levels().sigma_max) == pytest.approx((0.01, 120.0))
    here = scene(6)
    here = replace(here, config=replace(here.config, in_channels=8))
    options = {"pooled_output": POOLED, "concat_latent_image": torch.ones(1, 4, 8, 12)}
    shown = cosxl.model_inputs(options, POSITIVE, here)["concat"]
    torch.testing.assert_close(shown, torch.full_like(shown, 0.13025))
    plain = SDXL.model_inputs(options, POSITIVE, here)["concat"]
    torch.testing.assert_close(plain, torch.ones_like(plain))


def test_playground_has_latents_of_their_own_mean_and_deviation() -> None:
    mean, deviation = torch.tensor([-1.0, 2.0, 0.0, 0.5]), torch.tensor([5.0, 8.0, 4.0, 2.0])
    marks = {"edm_mean": mean.reshape(1, 4, 1, 1), "edm_std": deviation.reshape(1, 4, 1, 1)}
    family = SDXL.variant(SDXL, marks, UNET)
    assert family.parametrization == EDMPrediction()
    assert family.levels().sigma_max == pytest.approx(80.0)
    latent = torch.randn(2, 4, 3, 3) * deviation[:, None, None] + mean[:, None, None]
    scaled = family.latent_format.to_model(latent)
    expected = (latent - mean[:, None, None]) / deviation[:, None, None] * 0.5
    torch.testing.assert_close(scaled, expected)
    torch.testing.assert_close(family.latent_format.from_model(scaled), latent)


def test_both_text_encoders_must_be_there() -> None:
    with pytest.raises(ModelFileError, match="CLIP-L and OpenCLIP-bigG; found: clip"):
        text_encoders({}, (TextPart("conditioner.embedders.0.transformer.text_model.", "clip"),))
