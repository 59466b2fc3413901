from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from scipy import integrate
from torch import Tensor

from comfykit.sampling.denoiser import ignore_step
from comfykit.sampling.noise_levels import DiscreteNoiseLevels
from comfykit.sampling.samplers import SAMPLERS
from comfykit.sampling.samplers.sa_solver import adams_weights, sa_solver


@pytest.mark.parametrize("tau", [0.0, 1.0])
@pytest.mark.parametrize(
    "nodes", [[-0.5], [-0.5, -1.1], [-0.5, -1.1, -1.3], [0.0, -0.5, -1.1, -1.3, -2, -2.1]]
)
def test_weights_integrate_polynomials_exactly(nodes: list[float], tau: float) -> None:
    h, c = 0.5, 1 + tau**2

    def polynomial(u: float) -> float:
        return sum((k + 1) * 0.4 * u**k for k in range(len(nodes)))

    found = sum(w * polynomial(u) for w, u in zip(adams_weights(nodes, h, c), nodes, strict=True))
    exact = integrate.quad(lambda u: c * math.exp(c * u) * polynomial(u), -h, 0)[0]
    assert found == pytest.approx(exact, rel=1e-9)


def test_the_simple_second_order_changes_the_slope_alone() -> None:
    h = 0.5
    plain, simple = (adams_weights([-0.5, -1.1], h, 2.0, simple) for simple in (False, True))
    assert sum(simple) == pytest.approx(sum(plain))
    assert simple[0] * 0.0 + simple[1] * -0.6 == pytest.approx(2.0 * h**2 / 2)
    assert adams_weights([0.0, -0.5, -1.0], h, 2.0, True) == adams_weights([0.0, -0.5, -1.0], h, 2.0)


def test_noise_is_added_between_two_levels_only(gaussian: Any) -> None:
    asked: list[tuple[float, float]] = []
    x = torch.ones(1, 1, 2, 2)

    def noise(sigma: float, sigma_next: float) -> Tensor:
        asked.append((sigma, sigma_next))
        return torch.zeros_like(x)

    sigmas = torch.tensor([10.0, 8.0, 6.0, 4.0, 2.0, 0.0])
    sa_solver(gaussian, x, sigmas, noise=noise, callback=ignore_step, sde_from=8.0, sde_to=4.0)
    assert asked == [(10.0, 8.0), (8.0, 6.0), (6.0, 4.0)]


def test_by_name_the_levels_come_from_the_model(levels: DiscreteNoiseLevels) -> None:
    spec = SAMPLERS["sa_solver"].for_model(levels)
    options = getattr(spec.run, "keywords")  # noqa: B009
    assert options == {"sde_from": levels.percent_to_sigma(0.2), "sde_to": levels.percent_to_sigma(0.8)}
    assert SAMPLERS["euler"].for_model(levels) is SAMPLERS["euler"]
