from __future__ import annotations

import torch
from rules_support import Make
from torch import Tensor

from comfykit.sampling.guidance import classifier_free
from comfykit.sampling.parametrization import VPrediction
from comfykit.sampling.rules.rescaling import channels_renormalized, renormalized, rescaled


def spread(x: Tensor) -> Tensor:
    return x.std(dim=(1, 2, 3))


def test_rescaled_is_the_formula_on_velocities(make: Make) -> None:
    inputs = make()
    sigma = inputs.sigma.double()
    s = sigma.reshape(-1, 1, 1, 1)

    def velocity(denoised: Tensor) -> Tensor:
        return (inputs.x / (s**2 + 1) - denoised) * (s**2 + 1).sqrt() / s

    positive, guided = velocity(inputs.positive), velocity(classifier_free(inputs))
    ratio = (spread(positive) / spread(guided)).reshape(-1, 1, 1, 1)
    expected = VPrediction().denoised(sigma, 0.7 * guided * ratio + 0.3 * guided, inputs.x)
    torch.testing.assert_close(rescaled(inputs, multiplier=0.7), expected, rtol=1e-6, atol=1e-6)


def test_rescaled_by_nothing_is_classifier_free_guidance(make: Make) -> None:
    inputs = make()
    torch.testing.assert_close(
        rescaled(inputs, multiplier=0.0), classifier_free(inputs), rtol=1e-6, atol=1e-6
    )
    alone = make(cfg=1.0)
    torch.testing.assert_close(rescaled(alone, multiplier=0.9), alone.positive, rtol=1e-6, atol=1e-6)


def test_renormalized_is_no_longer_than_it_may_be(make: Make) -> None:
    inputs = make()
    for limit in (0.5, 1.0):
        found = renormalized(inputs, cfg_trunc=100.0, renorm_cfg=limit).flatten(1).norm(dim=1)
        torch.testing.assert_close(found, limit * inputs.positive.flatten(1).norm(dim=1))
    torch.testing.assert_close(
        renormalized(inputs, cfg_trunc=100.0, renorm_cfg=50.0), classifier_free(inputs)
    )
    torch.testing.assert_close(renormalized(inputs, cfg_trunc=100.0, renorm_cfg=0.0), classifier_free(inputs))


def test_renormalized_does_not_guide_above_its_level(make: Make) -> None:
    inputs = make()
    assert renormalized(inputs, cfg_trunc=2.0, renorm_cfg=0.0) is inputs.positive


def test_channels_are_shortened_and_never_lengthened(make: Make) -> None:
    inputs = make()
    longer = channels_renormalized(3 * inputs.positive, inputs, strength=2.0)
    torch.testing.assert_close(longer, 2 * inputs.positive, rtol=1e-6, atol=1e-6)
    shorter = channels_renormalized(0.5 * inputs.positive, inputs, strength=1.0)
    torch.testing.assert_close(shorter, 0.5 * inputs.positive)
