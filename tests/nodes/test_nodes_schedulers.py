from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from comfykit.nodes.schedulers import (
    align_your_steps_scheduler,
    basic_scheduler,
    beta_sampling_scheduler,
    exponential_scheduler,
    gits_scheduler,
    karras_scheduler,
    laplace_scheduler,
    ltxv_scheduler,
    polyexponential_scheduler,
    sd_turbo_scheduler,
    vp_scheduler,
)
from comfykit.sampling.noise_levels import scaled_linear_levels
from comfykit.sampling.schedulers import make_sigmas

LEVELS = scaled_linear_levels()
MODEL = cast(Any, SimpleNamespace(levels=LEVELS))


def test_the_basic_one_is_that_of_ksampler() -> None:
    found = basic_scheduler(MODEL, "karras", 7, 0.6)
    assert torch.equal(found, make_sigmas(LEVELS, "karras", 7, 0.6))
    assert len(basic_scheduler(MODEL, "karras", 7, 0.0)) == 0


def test_the_ends_of_a_model_give_the_model_s_schedules() -> None:
    ends = LEVELS.sigma_max, LEVELS.sigma_min
    assert torch.equal(karras_scheduler(9, *ends, 7.0), make_sigmas(LEVELS, "karras", 9))
    assert torch.equal(exponential_scheduler(9, *ends), make_sigmas(LEVELS, "exponential", 9))
    assert torch.equal(beta_sampling_scheduler(MODEL, 9, 0.6, 0.6), make_sigmas(LEVELS, "beta", 9))


def test_alpha_below_one_brings_steps_to_low_levels() -> None:
    low, high = (beta_sampling_scheduler(MODEL, 9, alpha, 1.0) for alpha in (0.5, 2.0))
    assert low[4] < high[4]


@pytest.mark.parametrize("steps", [2, 6, 10])
def test_all_have_as_many_steps_as_they_are_asked_for(steps: int) -> None:
    schedules = [
        polyexponential_scheduler(steps, 14.6, 0.03, 1.0),
        laplace_scheduler(steps, 14.6, 0.03, 0.0, 0.5),
        vp_scheduler(steps, 19.9, 0.1, 0.001),
        sd_turbo_scheduler(MODEL, steps, 1.0),
        align_your_steps_scheduler("SD1", steps, 1.0),
        gits_scheduler(1.2, steps, 1.0),
        ltxv_scheduler(steps, 2.05, 0.95, True, 0.1),
    ]
    assert [len(sigmas) for sigmas in schedules] == [steps + 1] * len(schedules)
    assert all(sigmas[-1] == 0 for sigmas in schedules)


def test_ltxv_counts_the_places_of_a_video() -> None:
    latent = {"samples": torch.zeros(1, 128, 13, 16, 16)}
    found = ltxv_scheduler(8, 2.05, 0.95, False, 0.1, latent)
    assert not torch.equal(found, ltxv_scheduler(8, 2.05, 0.95, False, 0.1))
    small = {"samples": torch.zeros(1, 128, 4, 32, 32)}  # 4,096 of them
    assert torch.equal(
        ltxv_scheduler(8, 2.05, 0.95, False, 0.1, small), ltxv_scheduler(8, 2.05, 0.95, False, 0.1)
    )
