from __future__ import annotations

import torch

from comfykit.sampling.denoiser import ignore_step
from comfykit.sampling.noise import no_noise
from comfykit.sampling.samplers.euler import euler
from comfykit.sampling.samplers.gradient_estimation import gradient_estimation


def squared(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Makes the slope sigma."""
    return x - sigma.reshape(-1, 1, 1, 1) ** 2


def test_two_steps_by_hand() -> None:
    x = torch.zeros(1, 1, 1, 1)
    sigmas = torch.tensor([4.0, 3.0, 1.0])
    noise = no_noise(x, sigmas, 0)
    found = gradient_estimation(squared, x, sigmas, noise=noise, callback=ignore_step)
    assert found.item() == -1 * 4 + -2 * (2 * 3 - 4)
    found = gradient_estimation(squared, x, sigmas, noise=noise, callback=ignore_step, gamma=1.0)
    assert found.item() == euler(squared, x, sigmas, noise=noise, callback=ignore_step).item()
