from __future__ import annotations

from functools import partial

import torch
from rules_support import Make
from torch import Tensor

from comfykit.sampling.guidance import classifier_free
from comfykit.sampling.rules.frequencies import frequency_scaled, scaled_frequencies
from comfykit.sampling.rules.leap import leaped
from comfykit.sampling.rules.scales import (
    linear_over_batch,
    noise_scaled,
    operated,
    triangle_over_batch,
    two_guidances,
)


def test_mahiro_takes_the_leap_where_the_negative_prediction_is_opposite(make: Make) -> None:
    inputs = make()
    opposite = make(negative=-inputs.positive)
    guided = classifier_free(opposite)
    torch.testing.assert_close(leaped(guided, opposite), 7.0 * inputs.positive)
    same = make(negative=inputs.positive)
    torch.testing.assert_close(leaped(classifier_free(same), same), classifier_free(same))


def test_mahiro_is_nothing_at_cfg_one(make: Make) -> None:
    inputs = make(cfg=1.0)
    torch.testing.assert_close(leaped(classifier_free(inputs), inputs), inputs.positive)


def test_frequencies_of_two_waves_are_scaled_apart() -> None:
    places = torch.arange(32, dtype=torch.float32) * (2 * torch.pi / 32)
    slow, fast = places.sin().expand(32, -1), (10 * places).sin().expand(32, -1)
    found = scaled_frequencies((slow + fast)[None, None], 0.5, 2.0, 4)
    torch.testing.assert_close(found[0, 0], 0.5 * slow + 2.0 * fast, rtol=1e-4, atol=1e-4)
    wide = scaled_frequencies((slow + fast)[None, None], 0.5, 2.0, 100)
    torch.testing.assert_close(wide[0, 0], 0.5 * (slow + fast), rtol=1e-4, atol=1e-4)


def test_fresca_of_scale_one_is_classifier_free_guidance(make: Make) -> None:
    inputs = make()
    same = frequency_scaled(inputs, scale_low=1.0, scale_high=1.0, freq_cutoff=3)
    torch.testing.assert_close(same.positive, inputs.positive, rtol=1e-5, atol=1e-5)
    alone = make(has_negative=False)
    assert frequency_scaled(alone, scale_low=0.0, scale_high=9.0, freq_cutoff=3) is alone


def test_frames_are_guided_by_scales_of_their_own(make: Make) -> None:
    three = {name: getattr(make(), name)[:1].expand(3, -1, -1, -1) for name in ("positive", "negative")}
    inputs = make(**three, cfg=5.0)

    def scales(found: Tensor) -> list[float]:
        difference = inputs.positive - inputs.negative
        ratios = ((found - inputs.negative) / difference).flatten(1).median(dim=1).values
        return [round(value, 4) for value in ratios.tolist()]

    assert scales(linear_over_batch(inputs, min_cfg=1.0)) == [1.0, 3.0, 5.0]
    assert scales(triangle_over_batch(inputs, min_cfg=1.0)) == [1.0, 5.0, 1.0]


def test_two_guidances_add_up_or_nest(make: Make) -> None:
    inputs = make(cfg=3.0)
    c, m, u = inputs.positive, inputs.further[0], inputs.negative
    rule = partial(two_guidances, inputs, combine=classifier_free, cfg_middle=2.0, middle=0)
    torch.testing.assert_close(rule(nested=False), u + 2.0 * (m - u) + 3.0 * (c - m))
    torch.testing.assert_close(rule(nested=True), u + 2.0 * (m + 3.0 * (c - m) - u))


def test_noise_is_divided(make: Make) -> None:
    inputs = make()
    found = noise_scaled(inputs.positive, inputs, scaling_factor=1.25)
    torch.testing.assert_close((inputs.x - found) * 1.25, inputs.x - inputs.positive)


def test_an_operation_changes_the_difference(make: Make) -> None:
    def double(latent: Tensor) -> Tensor:
        return 2 * latent

    inputs = make()
    found = operated(inputs, operation=double)
    torch.testing.assert_close(classifier_free(found), classifier_free(make(cfg=14.0)))
    alone = make(negative=torch.zeros_like(inputs.negative), has_negative=False, cfg=1.0)
    torch.testing.assert_close(operated(alone, operation=double).positive, 2 * inputs.positive)
