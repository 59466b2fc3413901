from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from comfykit.sampling.noise_levels import DiscreteNoiseLevels, scaled_linear_levels

LEVELS = scaled_linear_levels()


def test_ends_are_those_of_stable_diffusion(levels: DiscreteNoiseLevels) -> None:
    assert levels.sigmas.shape == (1000,)
    assert levels.sigmas.dtype == torch.float32
    assert levels.sigma_max == pytest.approx(14.6146412293, abs=1e-6)
    assert levels.sigma_min == pytest.approx(math.sqrt(0.00085 / (1 - 0.00085)), rel=1e-6)
    assert bool((levels.sigmas.diff() > 0).all())


def test_levels_of_one_beta() -> None:
    levels = DiscreteNoiseLevels.from_betas(torch.tensor([0.5, 0.5], dtype=torch.float64))
    assert levels.sigmas.tolist() == pytest.approx([1.0, math.sqrt(3)])


def test_every_index_is_the_timestep_of_its_level(levels: DiscreteNoiseLevels) -> None:
    indices = torch.arange(1000)
    assert torch.equal(levels.timestep(levels.sigmas), indices)
    torch.testing.assert_close(levels.sigma(indices), levels.sigmas, rtol=1e-6, atol=0)


@given(st.floats(0, 999))
def test_timestep_of_a_sigma_is_the_nearest_index(t: float) -> None:
    found = int(LEVELS.timestep(LEVELS.sigma(torch.tensor(t))))
    assert abs(found - t) <= 0.5 + 1e-3


def test_timesteps_half_way_fall_as_the_table_in_double_precision_rounds(levels: DiscreteNoiseLevels) -> None:
    halves = levels.sigma(torch.tensor([832.5, 499.5, 166.5]))
    assert levels.timestep(halves).tolist() == [833, 500, 166]


def test_timestep_keeps_the_shape_and_takes_the_ends_beyond_them(levels: DiscreteNoiseLevels) -> None:
    found = levels.timestep(torch.tensor([[1e-6, 100.0]]))
    assert found.tolist() == [[0, 999]]
    assert levels.sigma(torch.tensor([-5.0, 2000.0])).tolist() == pytest.approx(
        [levels.sigma_min, levels.sigma_max]
    )


def test_sigma_between_two_levels_is_linear_in_its_logarithm(levels: DiscreteNoiseLevels) -> None:
    low, high = levels.sigmas[[749, 750]].tolist()
    assert float(levels.sigma(torch.tensor(749.25))) == pytest.approx(low**0.75 * high**0.25, rel=1e-6)


def test_percent_to_sigma(levels: DiscreteNoiseLevels) -> None:
    assert levels.percent_to_sigma(0.0) == levels.percent_to_sigma(-1.0) == 1e9
    assert levels.percent_to_sigma(1.0) == levels.percent_to_sigma(1.5) == 0.0
    low, high = levels.sigmas[[499, 500]].tolist()
    assert levels.percent_to_sigma(0.5) == pytest.approx(math.sqrt(low * high), rel=1e-6)
    found = [levels.percent_to_sigma(p / 20) for p in range(21)]
    assert found == sorted(found, reverse=True)


def test_zero_terminal_snr_ends_in_noise_and_keeps_the_first_level(levels: DiscreteNoiseLevels) -> None:
    stretched = scaled_linear_levels(zero_terminal_snr=True)
    assert stretched.sigma_max == pytest.approx(math.sqrt(1 / 4.8973451890853435e-08 - 1))
    assert stretched.sigma_min == pytest.approx(levels.sigma_min, rel=1e-5)
    assert bool((stretched.sigmas.diff() > 0).all())
    # The way down in sqrt(abar) is stretched everywhere by the same factor.
    before, after = ((1 / (table.sigmas.double() ** 2 + 1)).sqrt() for table in (levels, stretched))
    factors = (after[0] - after[:-1])[1:] / (before[0] - before[:-1])[1:]
    torch.testing.assert_close(factors, factors[:1].expand(998), rtol=1e-3, atol=0)
