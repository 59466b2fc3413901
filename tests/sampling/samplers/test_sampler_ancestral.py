from __future__ import annotations

from typing import Any

import pytest
import torch

from comfykit.sampling.denoiser import ignore_step
from comfykit.sampling.noise import no_noise, randn_noise
from comfykit.sampling.samplers.ancestral import ddpm, lcm
from comfykit.sampling.samplers.euler import euler_ancestral


def test_the_posterior_is_the_ancestral_step_at_eta_one(gaussian: Any) -> None:
    x = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 10
    sigmas = torch.cat([gaussian.sigmas(6).float(), torch.zeros(1)])
    found, expected = (
        sampler(gaussian, x, sigmas, noise=randn_noise(x, sigmas, 1), callback=ignore_step)
        for sampler in (ddpm, euler_ancestral)
    )
    torch.testing.assert_close(found, expected)


def test_a_posterior_step_by_hand(gaussian: Any) -> None:
    # D = 10 * 0.5 / 4.5, abar = 1 / 5 and 1 / 2.
    x = torch.full((1, 1, 1, 1), 10.0)
    sigmas = torch.tensor([2.0, 1.0])
    found = ddpm(gaussian, x, sigmas, noise=no_noise(x, sigmas, 0), callback=ignore_step)
    denoised = 10 * 0.5 / 4.5
    abar, abar_next = 1 / 5, 1 / 2
    alpha = abar / abar_next
    eps = (10.0 - denoised) / 2
    mean = (10.0 * abar**0.5 - (1 - alpha) / (1 - abar) ** 0.5 * eps) / alpha**0.5
    assert found.item() == pytest.approx(mean / abar_next**0.5)


def test_lcm_keeps_nothing_of_x_but_the_prediction() -> None:
    x = torch.full((1, 1, 1, 1), 5.0)
    sigmas = torch.tensor([4.0, 2.0])
    found = lcm(
        lambda x, sigma: x / 5, x, sigmas, noise=lambda a, b: torch.full_like(x, 3.0), callback=ignore_step
    )
    assert found.item() == 1.0 + 2.0 * 3.0
