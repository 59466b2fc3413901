from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from comfykit.nodes.noise import disable_noise, random_noise
from comfykit.nodes.samplers import (
    ksampler_select,
    sampler_dpm_adaptive,
    sampler_dpmpp_2m_sde,
    sampler_dpmpp_2s_ancestral,
    sampler_dpmpp_3m_sde,
    sampler_dpmpp_sde,
    sampler_er_sde,
    sampler_euler_ancestral,
    sampler_euler_ancestral_cfg_pp,
    sampler_lms,
    sampler_sa_solver,
)
from comfykit.sampling.denoiser import ignore_step
from comfykit.sampling.noise import initial_noise
from comfykit.sampling.noise_levels import scaled_linear_levels
from comfykit.sampling.samplers import SAMPLERS, SamplerSpec

LEVELS = scaled_linear_levels()
MODEL = cast(Any, SimpleNamespace(levels=LEVELS))
SIGMAS = torch.tensor([14.0, 9.0, 5.0, 3.0, 1.5, 0.6, 0.2, 0.0])


class Shrink:
    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        return x / (1 + sigma.reshape(-1, 1, 1, 1) ** 2)

    def both(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return self(x, sigma), 0.5 * self(x, sigma)


def result(spec: SamplerSpec) -> Tensor:
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)) * 14
    spec = spec.for_model(LEVELS)
    return spec.run(Shrink(), x, SIGMAS, noise=spec.noise(x, SIGMAS, 3), callback=ignore_step)


DEFAULTS = {
    "euler_ancestral": sampler_euler_ancestral(1.0, 1.0),
    "euler_ancestral_cfg_pp": sampler_euler_ancestral_cfg_pp(1.0, 1.0),
    "lms": sampler_lms(4),
    "dpmpp_2s_ancestral": sampler_dpmpp_2s_ancestral(1.0, 1.0),
    "dpmpp_sde": sampler_dpmpp_sde(1.0, 1.0, 0.5, "cpu"),
    "dpmpp_sde_gpu": sampler_dpmpp_sde(1.0, 1.0, 0.5, "gpu"),
    "dpmpp_2m_sde": sampler_dpmpp_2m_sde("midpoint", 1.0, 1.0, "cpu"),
    "dpmpp_2m_sde_heun_gpu": sampler_dpmpp_2m_sde("heun", 1.0, 1.0, "gpu"),
    "dpmpp_3m_sde": sampler_dpmpp_3m_sde(1.0, 1.0, "cpu"),
    "dpm_adaptive": sampler_dpm_adaptive(3, 0.05, 0.0078, 0.05, 0.0, 1.0, 0.0, 0.81, 0.0, 1.0),
    "er_sde": sampler_er_sde("ER-SDE", 3, 1.0, 1.0),
    "sa_solver": sampler_sa_solver(MODEL, 1.0, 0.2, 0.8, 1.0, 3, 4, False, False),
    "sa_solver_pece": sampler_sa_solver(MODEL, 1.0, 0.2, 0.8, 1.0, 3, 4, True, False),
}

OTHERS = {
    "eta of euler_ancestral": (sampler_euler_ancestral(0.5, 1.0), "euler_ancestral"),
    "s_noise of euler_ancestral": (sampler_euler_ancestral(1.0, 0.5), "euler_ancestral"),
    "order of lms": (sampler_lms(2), "lms"),
    "r of dpmpp_sde": (sampler_dpmpp_sde(1.0, 1.0, 0.4, "cpu"), "dpmpp_sde"),
    "solver of dpmpp_2m_sde": (sampler_dpmpp_2m_sde("heun", 1.0, 1.0, "cpu"), "dpmpp_2m_sde"),
    "rtol of dpm_adaptive": (
        sampler_dpm_adaptive(3, 0.01, 0.001, 0.05, 0.0, 1.0, 0.0, 0.81, 0.0, 1.0),
        "dpm_adaptive",
    ),
    "order of dpm_adaptive": (
        sampler_dpm_adaptive(2, 0.05, 0.0078, 0.05, 0.0, 1.0, 0.0, 0.81, 0.0, 1.0),
        "dpm_adaptive",
    ),
    "stages of er_sde": (sampler_er_sde("ER-SDE", 2, 1.0, 1.0), "er_sde"),
    "type of er_sde": (sampler_er_sde("Reverse-time SDE", 3, 1.0, 1.0), "er_sde"),
    "orders of sa_solver": (sampler_sa_solver(MODEL, 1.0, 0.2, 0.8, 1.0, 2, 0, False, False), "sa_solver"),
    "range of sa_solver": (sampler_sa_solver(MODEL, 1.0, 0.0, 1.0, 1.0, 3, 4, False, False), "sa_solver"),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_are_the_sampler_of_that_name(name: str) -> None:
    assert torch.equal(result(DEFAULTS[name]), result(SAMPLERS[name]))


@pytest.mark.parametrize("what", OTHERS)
def test_other_options_change_the_result(what: str) -> None:
    spec, name = OTHERS[what]
    assert not torch.allclose(result(spec), result(SAMPLERS[name]), atol=1e-3)


def test_the_ode_of_er_sde_needs_no_noise() -> None:
    ode = result(sampler_er_sde("ODE", 3, 1.0, 1.0))
    assert torch.equal(ode, result(sampler_er_sde("ODE", 3, 0.3, 0.0)))
    torch.testing.assert_close(ode, result(sampler_er_sde("Reverse-time SDE", 3, 0.0, 1.0)))


def test_a_sampler_by_name() -> None:
    assert ksampler_select("heun") is SAMPLERS["heun"]


def test_noise() -> None:
    latent = {"samples": torch.zeros(2, 4, 3, 3)}
    assert torch.equal(random_noise(7).generate_noise(latent), initial_noise(latent["samples"], 7))
    assert random_noise(7).seed == 7
    assert not disable_noise().generate_noise(latent).any()
    assert disable_noise().seed == 0
