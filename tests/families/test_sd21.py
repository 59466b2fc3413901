from __future__ import annotations

import pytest
import torch

from comfykit.errors import ModelFileError
from comfykit.families.sd21 import SD21, TELLING_BIAS, text_encoder
from comfykit.models.unet import UNetConfig
from comfykit.sampling.parametrization import EpsPrediction, VPrediction
from comfykit.weights.detect import TextPart, UNetPart

PREFIX = "model.diffusion_model."


@pytest.mark.parametrize(
    ("spread", "channels", "expected"),
    [(0.02, 4, EpsPrediction()), (0.2, 4, VPrediction()), (0.2, 9, EpsPrediction())],
)
def test_velocities_are_told_by_a_bias(spread: float, channels: int, expected: object) -> None:
    bias = (torch.randn(320, generator=torch.Generator().manual_seed(0)) * spread).half()
    unet = UNetPart(PREFIX, UNetConfig(in_channels=channels, use_linear=True))
    assert SD21.variant(SD21, {PREFIX + TELLING_BIAS: bias}, unet).parametrization == expected
    assert SD21.variant(SD21, {}, unet).parametrization == EpsPrediction()


def test_other_text_encoders_are_refused() -> None:
    with pytest.raises(ModelFileError, match=r"Stable Diffusion 2\.x has one CLIP text encoder, and none"):
        text_encoder({}, ())
    with pytest.raises(ModelFileError, match="and 1 were found"):
        text_encoder({}, (TextPart("t5.", "t5"),))
