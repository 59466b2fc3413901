"""Samplers that add noise leave the variance that the data has at the last level."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from comfykit.sampling.denoiser import ignore_step
from comfykit.sampling.noise import brownian_noise
from comfykit.sampling.samplers import SAMPLERS
from comfykit.sampling.samplers.dpmpp_sde import dpmpp_2m_sde

FIRST_ORDER = ["euler_ancestral", "euler_ancestral_cfg_pp", "ddpm"]
STOCHASTIC = [
    *FIRST_ORDER,
    "dpm_2_ancestral",
    "dpmpp_2s_ancestral",
    "dpmpp_sde",
    "dpmpp_2m_sde",
    "dpmpp_2m_sde_heun",
    "dpmpp_3m_sde",
    "res_multistep_ancestral",
    "res_multistep_ancestral_cfg_pp",
    "er_sde",
    "seeds_2",
    "sa_solver",
    "sa_solver_pece",
]
WITHOUT_S_NOISE = {"ddpm"}


@pytest.mark.parametrize("sampler", STOCHASTIC)
def test_variance_converges_to_that_of_the_data(gaussian: Any, sampler: str) -> None:
    spec = SAMPLERS[sampler]
    coarse = abs(gaussian.variance_of(spec.run, spec.noise, 8) - 1)
    fine = abs(gaussian.variance_of(spec.run, spec.noise, 128) - 1)
    # 40,000 values know their variance to 0.7 %; Euler's bias at 128 steps is 4 %.
    assert fine < (0.05 if sampler in FIRST_ORDER else 0.015)
    assert fine < coarse / 4


def test_seeds_3_is_right_with_few_steps(gaussian: Any) -> None:
    spec = SAMPLERS["seeds_3"]
    for steps in (8, 16):
        assert gaussian.variance_of(spec.run, spec.noise, steps) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("sampler", [name for name in STOCHASTIC if name not in WITHOUT_S_NOISE])
def test_s_noise_scales_what_is_added(gaussian: Any, sampler: str) -> None:
    spec = SAMPLERS[sampler].with_options(s_noise=0.0)
    # er_sde adds little noise: half of the variance is there without.
    assert gaussian.variance_of(spec.run, spec.noise, 32) < (0.6 if sampler == "er_sde" else 0.1)


def test_more_steps_lead_to_the_same_picture(gaussian: Any) -> None:
    def picture(steps: int, seed: int) -> torch.Tensor:
        x = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 10
        sigmas = gaussian.sigmas(steps).float()
        noise = brownian_noise(x, sigmas, seed)
        return dpmpp_2m_sde(gaussian, x, sigmas, noise=noise, callback=ignore_step)

    fine = picture(128, seed=5)
    refined = float((picture(64, seed=5) - fine).std())
    other_seed = float((picture(128, seed=6) - fine).std())
    assert refined < other_seed / 10


def test_gpu_names_are_the_same_samplers_with_a_tree_on_the_device(gaussian: Any) -> None:
    for sampler in ("dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde"):
        assert SAMPLERS[f"{sampler}_gpu"].run is SAMPLERS[sampler].run
        assert SAMPLERS[f"{sampler}_gpu"].noise is not SAMPLERS[sampler].noise
