from __future__ import annotations

import pytest
from scipy import integrate

from comfykit.sampling.samplers.deis import SIGMA_MAX, SIGMA_MIN, time_weights, vp_time


def test_the_schedule_has_its_levels_at_its_times() -> None:
    assert vp_time(SIGMA_MAX) == pytest.approx(1)
    assert vp_time(SIGMA_MIN) == pytest.approx(1e-3)


def test_one_slope_is_taken_as_constant() -> None:
    assert time_weights([3.0], 1.0) == [-2.0]


@pytest.mark.parametrize("known", [[3.0, 5.0], [3.0, 5.0, 9.0]])
def test_polynomials_in_time_are_integrated_over_sigma(known: list[float]) -> None:
    degree = len(known) - 1

    def d(sigma: float) -> float:
        return float(1 + vp_time(sigma)) ** degree

    found = sum(w * d(sigma) for w, sigma in zip(time_weights(known, 1.5), known, strict=True))
    exact = integrate.quad(d, known[0], 1.5)[0]
    assert found == pytest.approx(exact, rel=2e-4)  # of 10,000 points
