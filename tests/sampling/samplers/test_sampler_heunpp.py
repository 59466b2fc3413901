from __future__ import annotations

from typing import Any

import pytest
import torch

from comfykit.sampling.denoiser import ignore_step
from comfykit.sampling.noise import no_noise
from comfykit.sampling.samplers.euler import euler
from comfykit.sampling.samplers.heunpp import heunpp2


def test_three_slopes_by_hand() -> None:
    # With D = 0 the slope at every level is x / sigma, which Euler steps keep: x is proportional to sigma.
    x = torch.full((1, 1, 1, 1), 6.0)
    sigmas = torch.tensor([6.0, 3.0, 2.0, 1.0])
    found = heunpp2(
        lambda x, sigma: torch.zeros_like(x), x, sigmas, noise=no_noise(x, sigmas, 0), callback=ignore_step
    )
    assert found.item() == pytest.approx(1.0)


def test_weights_of_the_second_last_step() -> None:
    # D = x - sigma^2 makes the slope sigma: the step from 4 to 2 (first level 4) has weights 3/4 and 1/4.
    x = torch.zeros(1, 1, 1, 1)
    sigmas = torch.tensor([4.0, 2.0, 1.0])

    def denoiser(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return x - sigma.reshape(-1, 1, 1, 1) ** 2

    found = heunpp2(denoiser, x, sigmas, noise=no_noise(x, sigmas, 0), callback=ignore_step)
    assert found.item() == pytest.approx((2 - 4) * (3 / 4 * 4 + 1 / 4 * 2) + (1 - 2) * 2)


def test_it_is_nearer_than_euler(gaussian: Any) -> None:
    assert gaussian.error(heunpp2, 32) < gaussian.error(euler, 32)
