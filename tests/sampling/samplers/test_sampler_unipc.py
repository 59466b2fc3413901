from __future__ import annotations

import math

import pytest
import torch
from scipy import integrate

from comfykit.sampling.samplers.unipc import Variant, _Step


@pytest.mark.parametrize("variant", ["bh1", "bh2"])
@pytest.mark.parametrize("corrected", [False, True])
def test_a_step_of_order_three_integrates_a_polynomial_in_lam_exactly(
    variant: Variant, corrected: bool
) -> None:
    # The predictor knows three predictions of x0, which fix a parabola, the corrector a fourth.
    degree = 3 if corrected else 2

    def denoised(lam: float) -> torch.Tensor:
        return torch.tensor(1.0 + sum((k + 1) * 0.3 * lam**k for k in range(1, degree + 1)))

    lams = (-1.9, -1.2, -0.8, -0.1)
    now, end = lams[-2:]
    known = [denoised(lam).double() for lam in reversed(lams[:-1])]
    x = torch.tensor(2.5, dtype=torch.float64)
    step = _Step(lams, variant)
    found = float(step.advance(x, known, at_end=denoised(end).double() if corrected else None))

    # x(end) = e^(now - end) x + integral of e^(lam - end) D(lam), arXiv 2211.01095, equation 8 in x's scale.
    integral = integrate.quad(lambda lam: math.exp(lam - end) * float(denoised(lam)), now, end)[0]
    assert found == pytest.approx(math.exp(now - end) * 2.5 + integral, rel=1e-6)


def test_the_variants_differ_where_the_step_is_of_order_two() -> None:
    known = [torch.tensor(1.0), torch.tensor(0.5)]
    found = [
        _Step((-2.0, -1.0, 0.5), variant).advance(torch.tensor(3.0), known) for variant in ("bh1", "bh2")
    ]
    h, d = 1.5, (0.5 - 1.0) / (-1.0 / 1.5)
    first_order = math.exp(-h) * 3.0 + (1 - math.exp(-h)) * 1.0
    assert float(found[0]) == pytest.approx(first_order + h * d / 2, rel=1e-6)
    assert float(found[1]) == pytest.approx(first_order - math.expm1(-h) * d / 2, rel=1e-6)
