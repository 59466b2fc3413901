from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from comfykit.sampling.denoiser import ignore_step
from comfykit.sampling.noise import no_noise, randn_noise
from comfykit.sampling.samplers.ancestral import ddpm
from comfykit.sampling.samplers.er_sde import _Step, er_sde, power_scale, sde_5


def test_sde_5_by_hand() -> None:
    assert float(sde_5(torch.tensor(1.0, dtype=torch.float64))) == pytest.approx(math.e + 10)


def test_a_step_of_the_ode_adds_no_noise_and_goes_to_the_level() -> None:
    step = _Step.between(4.0, 1.0, power_scale(0.0))
    assert step.r == pytest.approx(1 / 4)
    assert step.up == pytest.approx(0, abs=1e-7)


def test_the_first_stage_of_the_reverse_sde_is_the_posterior(gaussian: Any) -> None:
    x = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 10
    sigmas = gaussian.sigmas(5).float()

    def run(sampler: Any, **options: Any) -> torch.Tensor:
        found: torch.Tensor = sampler(
            gaussian, x, sigmas, noise=randn_noise(x, sigmas, 1), callback=ignore_step, **options
        )
        return found

    torch.testing.assert_close(run(er_sde, noise_scale=power_scale(1.0), max_stage=1), run(ddpm))


def test_derivatives_of_a_parabola_are_exact() -> None:
    def parabola(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        s = sigma.double().reshape(-1, 1, 1, 1)
        return 1 + 2 * s + 3 * s**2

    # The ODE dx/ds = (x - D) / s has x = c s + 1 - 2 s ln s - 3 s^2 for this D.
    def exact(s: float) -> float:
        return 5 * s + 1 - 2 * s * math.log(s) - 3 * s**2

    x = torch.full((1, 1, 1, 1), exact(4.0), dtype=torch.float64)
    sigmas = torch.tensor([4.0, 3.99, 3.98, 3.0], dtype=torch.float64)
    noise = no_noise(x, sigmas, 0)
    start = x.clone()
    found = er_sde(parabola, start, sigmas, noise=noise, callback=ignore_step, noise_scale=power_scale(0.0))
    # What is left are the two first steps, of lower order, and the sums of 200 intervals.
    assert float(found) == pytest.approx(exact(3.0), abs=5e-3)
