from __future__ import annotations

import pytest

from comfykit.sampling.samplers.lms import multistep_weights


def test_even_steps_give_the_weights_of_adams_bashforth() -> None:
    assert multistep_weights([4.0, 5.0, 6.0, 7.0], 3.0) == pytest.approx(
        [-55 / 24, 59 / 24, -37 / 24, 9 / 24]
    )
    assert multistep_weights([1.0, 2.0], 0.0) == pytest.approx([-3 / 2, 1 / 2])
    assert multistep_weights([1.0], 0.25) == pytest.approx([-0.75])


def test_uneven_steps_integrate_a_cubic_exactly() -> None:
    known = [2.0, 3.1, 5.7, 11.3]
    weights = multistep_weights(known, 1.4)
    integral = sum(w * (s**3 - 2 * s) for w, s in zip(weights, known, strict=True))
    assert integral == pytest.approx((1.4**4 - 2.0**4) / 4 - (1.4**2 - 2.0**2))
