from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from comfykit.errors import UsageError
from comfykit.sampling.samplers import SAMPLERS, find_sampler
from comfykit.sampling.samplers.steps import ancestral_levels, denoise_at, level_between

sigma_pairs = st.tuples(st.floats(0.01, 20), st.floats(0.01, 20)).filter(lambda pair: pair[0] != pair[1])


@given(sigma_pairs, st.floats(0, 1))
def test_ancestral_levels_add_up_to_the_next_level(pair: tuple[float, float], eta: float) -> None:
    low, high = sorted(pair)
    down, up = ancestral_levels(high, low, eta)
    assert math.hypot(down, up) == pytest.approx(low)


def test_ancestral_levels_at_eta_one_are_the_posterior() -> None:
    down, up = ancestral_levels(2.0, 1.0, 1.0)
    assert down == pytest.approx(1.0 / 2.0)
    assert up == pytest.approx(math.sqrt(3) / 2)
    assert ancestral_levels(2.0, 1.0, 0.0) == (1.0, 0.0)
    assert ancestral_levels(2.0, 0.0, 1.0) == (0.0, 0.0)


def test_noise_on_the_way_up_is_refused() -> None:
    with pytest.raises(UsageError, match="level 1 up to 2"):
        ancestral_levels(1.0, 2.0, 1.0)
    assert ancestral_levels(1.0, 2.0, 0.0) == (2.0, 0.0)


@given(sigma_pairs, st.floats(0, 1))
def test_level_between_is_geometric(pair: tuple[float, float], r: float) -> None:
    a, b = pair
    assert level_between(a, b, r) == pytest.approx(a ** (1 - r) * b**r, rel=1e-5)


def test_the_denoiser_gets_one_sigma_per_row_in_single_precision() -> None:
    seen: list[Tensor] = []

    def denoiser(x: Tensor, sigma: Tensor) -> Tensor:
        seen.append(sigma)
        return x

    denoise_at(denoiser, torch.zeros(3, 4, 2, 2, dtype=torch.float16), 1.5)
    assert seen[0].dtype == torch.float32
    assert seen[0].tolist() == [1.5] * 3


def test_names_follow_the_order_of_comfyui() -> None:
    assert " ".join(SAMPLERS) == (
        "euler euler_cfg_pp euler_ancestral euler_ancestral_cfg_pp heun heunpp2 dpm_2 dpm_2_ancestral lms "
        "dpm_fast dpm_adaptive dpmpp_2s_ancestral dpmpp_2s_ancestral_cfg_pp dpmpp_sde dpmpp_sde_gpu dpmpp_2m "
        "dpmpp_2m_cfg_pp dpmpp_2m_sde dpmpp_2m_sde_gpu dpmpp_2m_sde_heun dpmpp_2m_sde_heun_gpu dpmpp_3m_sde "
        "dpmpp_3m_sde_gpu ddpm lcm ipndm ipndm_v deis res_multistep res_multistep_cfg_pp "
        "res_multistep_ancestral res_multistep_ancestral_cfg_pp gradient_estimation "
        "gradient_estimation_cfg_pp er_sde seeds_2 seeds_3 sa_solver sa_solver_pece ddim uni_pc uni_pc_bh2"
    )


def test_samplers_of_cfg_pp_say_that_they_need_both_sides() -> None:
    assert {name for name, spec in SAMPLERS.items() if spec.needs_negative} == {
        name for name in SAMPLERS if name.endswith("cfg_pp")
    }


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="no sampler 'eular'") as caught:
        find_sampler("eular")
    assert "euler_ancestral" in str(caught.value.hint)
