from __future__ import annotations

import math

import pytest

from comfykit.sampling.samplers.res_multistep import weights


@pytest.mark.parametrize("c2", [-1.0, -0.4, 0.5])
@pytest.mark.parametrize("h", [0.05, 0.7, 3.0])
def test_weights_integrate_a_line_exactly(h: float, c2: float) -> None:
    # x' = e^-h x + integral of e^(u - h) D(u) over 0 to h, with D known at 0 and at c2 h.
    b1, b2 = weights(h, c2)
    assert h * (b1 + b2) == pytest.approx(1 - math.exp(-h))
    assert h * b2 * c2 * h == pytest.approx(h - 1 + math.exp(-h))
