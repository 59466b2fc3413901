from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from comfykit.errors import UsageError
from comfykit.sampling.noise_levels import DiscreteNoiseLevels, scaled_linear_levels
from comfykit.sampling.schedulers import DROP_SECOND_LAST, SCHEDULERS, make_sigmas, sd_turbo

LEVELS = scaled_linear_levels()
EXACT_LENGTH = [name for name in SCHEDULERS if name not in ("ddim_uniform", "beta")]


def test_names_follow_the_order_of_comfyui() -> None:
    assert list(SCHEDULERS) == [
        "simple",
        "sgm_uniform",
        "karras",
        "exponential",
        "ddim_uniform",
        "beta",
        "normal",
        "linear_quadratic",
        "kl_optimal",
    ]


@pytest.mark.parametrize("name", SCHEDULERS)
@given(steps=st.integers(1, 120))
def test_schedules_fall_from_within_the_levels_to_zero(name: str, steps: int) -> None:
    sigmas = make_sigmas(LEVELS, name, steps)
    assert sigmas.dtype == torch.float32
    assert bool((sigmas.diff() < 0).all())
    assert sigmas[-1] == 0
    assert LEVELS.sigma_min * (1 - 1e-5) <= float(sigmas[-2])
    assert float(sigmas[0]) <= LEVELS.sigma_max * (1 + 1e-5)


@pytest.mark.parametrize("name", EXACT_LENGTH)
@pytest.mark.parametrize("steps", [1, 2, 3, 20, 999])
def test_as_many_steps_as_asked_for(name: str, steps: int) -> None:
    assert len(make_sigmas(LEVELS, name, steps)) == steps + 1


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name != "ddim_uniform"])
def test_runs_begin_at_the_largest_level(name: str) -> None:
    assert float(make_sigmas(LEVELS, name, 10)[0]) == pytest.approx(LEVELS.sigma_max, rel=1e-5)


def test_simple_reads_the_table_from_the_top(levels: DiscreteNoiseLevels) -> None:
    expected = levels.sigmas[[999, 666, 333]].tolist()
    assert make_sigmas(levels, "simple", 3).tolist() == [*expected, 0.0]


@pytest.mark.parametrize(("steps", "given_steps"), [(20, 20), (7, 8), (3, 3), (600, 999), (5000, 999)])
def test_ddim_uniform_has_a_whole_stride(levels: DiscreteNoiseLevels, steps: int, given_steps: int) -> None:
    sigmas = make_sigmas(levels, "ddim_uniform", steps)
    assert len(sigmas) == given_steps + 1
    assert sigmas[-2] == levels.sigmas[1]
    if steps == 7:
        assert sigmas[0] == levels.sigmas[1 + 7 * 142]


def test_normal_and_sgm_uniform_space_timesteps_evenly(levels: DiscreteNoiseLevels) -> None:
    normal = torch.tensor([999.0, 666.0, 333.0, 0.0])
    torch.testing.assert_close(make_sigmas(levels, "normal", 4)[:-1], levels.sigma(normal))
    uniform = torch.tensor([999.0, 749.25, 499.5, 249.75])
    torch.testing.assert_close(make_sigmas(levels, "sgm_uniform", 4)[:-1], levels.sigma(uniform))


def test_karras_is_even_in_the_seventh_root(levels: DiscreteNoiseLevels) -> None:
    sigmas = make_sigmas(levels, "karras", 9)[:-1].double()
    steps = (sigmas ** (1 / 7)).diff()
    torch.testing.assert_close(steps, steps[:1].expand(8), rtol=1e-4, atol=0)
    assert float(sigmas[-1]) == pytest.approx(levels.sigma_min, rel=1e-5)


def test_exponential_is_even_in_the_logarithm(levels: DiscreteNoiseLevels) -> None:
    sigmas = make_sigmas(levels, "exponential", 3)[:-1].tolist()
    middle = math.sqrt(levels.sigma_min * levels.sigma_max)
    assert sigmas == pytest.approx([levels.sigma_max, middle, levels.sigma_min], rel=1e-5)


def test_kl_optimal_is_even_in_the_arc_tangent(levels: DiscreteNoiseLevels) -> None:
    sigmas = make_sigmas(levels, "kl_optimal", 3)[:-1].tolist()
    middle = math.tan((math.atan(levels.sigma_min) + math.atan(levels.sigma_max)) / 2)
    assert sigmas == pytest.approx([levels.sigma_max, middle, levels.sigma_min], rel=1e-5)


def test_linear_quadratic_by_hand(levels: DiscreteNoiseLevels) -> None:
    # Two steps along the line 0, 0.0125, 0.025; then 0.0375 + (1 - 0.05) / 4, and 1.
    expected = [1.0, 1 - 0.0125, 1 - 0.025, 1 - 0.0375 - 0.2375, 0.0]
    found = make_sigmas(levels, "linear_quadratic", 4) / levels.sigma_max
    assert found.tolist() == pytest.approx(expected, abs=1e-6)
    assert make_sigmas(levels, "linear_quadratic", 1).tolist() == pytest.approx([levels.sigma_max, 0.0])


def test_beta_crowds_at_both_ends_and_drops_what_repeats(levels: DiscreteNoiseLevels) -> None:
    indices = levels.timestep(make_sigmas(levels, "beta", 20)[:-1])
    gaps = -indices.diff()
    assert int(gaps[0]) < int(gaps[9])
    assert int(gaps[-1]) < int(gaps[9])
    # The distribution is symmetric: the k-th and the (20 - k)-th quantile mirror each other.
    torch.testing.assert_close(indices[1:] + indices[1:].flip(0), torch.full((19,), 999), atol=1, rtol=0)
    crowded = make_sigmas(levels, "beta", 900)
    assert len(crowded) < 901


@pytest.mark.parametrize("name", SCHEDULERS)
def test_denoise_takes_the_end_of_a_longer_schedule(levels: DiscreteNoiseLevels, name: str) -> None:
    longer = make_sigmas(levels, name, 25)
    assert torch.equal(make_sigmas(levels, name, 10, denoise=0.4), longer[-11:])


def test_denoise_is_cut_to_whole_steps(levels: DiscreteNoiseLevels) -> None:
    assert torch.equal(make_sigmas(levels, "karras", 5, 0.6), make_sigmas(levels, "karras", 8)[-6:])


def test_no_denoise_means_no_steps(levels: DiscreteNoiseLevels) -> None:
    assert len(make_sigmas(levels, "karras", 5, denoise=0.0)) == 0


@pytest.mark.parametrize("sampler", sorted(DROP_SECOND_LAST))
def test_some_samplers_leave_the_second_last_level_out(levels: DiscreteNoiseLevels, sampler: str) -> None:
    longer = make_sigmas(levels, "karras", 6).tolist()
    assert make_sigmas(levels, "karras", 5, sampler=sampler).tolist() == [*longer[:5], 0.0]
    assert make_sigmas(levels, "karras", 1, sampler=sampler).tolist() == pytest.approx([LEVELS.sigma_max, 0])


def test_an_unknown_scheduler_is_answered_with_those_there_are(levels: DiscreteNoiseLevels) -> None:
    with pytest.raises(UsageError, match="no scheduler 'karas'") as caught:
        make_sigmas(levels, "karas", 5)
    assert "karras" in str(caught.value.hint)


def test_a_run_of_no_steps_is_refused(levels: DiscreteNoiseLevels) -> None:
    with pytest.raises(UsageError, match="at least 1 step"):
        make_sigmas(levels, "karras", 0)


def test_sd_turbo_takes_every_hundredth_timestep(levels: DiscreteNoiseLevels) -> None:
    table = levels.sigmas
    torch.testing.assert_close(sd_turbo(levels, 1), torch.tensor([float(table[999]), 0.0]))
    torch.testing.assert_close(
        sd_turbo(levels, 2, denoise=0.5), torch.tensor([float(table[499]), float(table[399]), 0.0])
    )
    assert len(sd_turbo(levels, 10)) == 11
    assert len(sd_turbo(levels, 10, denoise=0.3)) == 4
    assert sd_turbo(levels, 3, denoise=0.0).tolist() == [0.0]
