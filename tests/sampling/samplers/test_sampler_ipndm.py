from __future__ import annotations

import pytest

from comfykit.sampling.samplers.ipndm import EVEN_STEPS, even_weights, uneven_weights
from comfykit.sampling.samplers.lms import multistep_weights


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_even_weights_are_exact_on_even_steps(order: int) -> None:
    known = [3.0, 4.0, 5.0, 6.0][:order]
    assert even_weights(known, 2.0) == pytest.approx(multistep_weights(known, 2.0))
    assert sum(EVEN_STEPS[order - 1]) == pytest.approx(1)


@pytest.mark.parametrize("order", [1, 2])
def test_uneven_weights_are_exact_up_to_order_two(order: int) -> None:
    known = [2.0, 3.1][:order]
    assert uneven_weights(known, 1.4) == pytest.approx(multistep_weights(known, 1.4))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_uneven_weights_of_even_steps(order: int) -> None:
    known = [3.0, 4.0, 5.0][:order]
    assert uneven_weights(known, 2.0) == pytest.approx(even_weights(known, 2.0))


def test_order_four_as_published() -> None:
    # The published third difference has 11/24 on even steps where Adams-Bashforth has 9/24.
    published = [1 + 1 / 2 + 5 / 12 + 11 / 24, -1 / 2 - 5 / 6 - 3 * 11 / 24, 5 / 12 + 3 * 11 / 24, -11 / 24]
    assert uneven_weights([3.0, 4.0, 5.0, 6.0], 2.0) == pytest.approx([-w for w in published])


def test_a_constant_slope_is_integrated_exactly_up_to_order_three() -> None:
    assert sum(uneven_weights([2.0, 3.1, 5.7], 1.4)) == pytest.approx(-0.6)
