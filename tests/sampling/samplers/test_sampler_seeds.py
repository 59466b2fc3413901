from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from comfykit.sampling.denoiser import ignore_step
from comfykit.sampling.samplers.seeds import _Step, seeds_2, seeds_3


def test_the_noise_of_a_part_is_kept_in_the_later_ones() -> None:
    h, eta = 0.8, 1.0
    draws = iter([1.0, 10.0, 100.0])
    x = torch.zeros(1, 1, 1, 1)
    step = _Step(x, 2.0, h, eta, 1.0, lambda a, b: torch.full_like(x, next(draws)))
    zero = torch.zeros_like(x)
    noise = [float(step.at(part, zero)) / step.level(part) for part in (0.25, 0.5, 1.0)]
    a, b = (math.sqrt(1 - math.exp(-2 * part * h)) for part in (0.25, 0.5))
    decay, later = math.exp(-0.25 * h), math.exp(-0.5 * h)
    assert noise[0] == pytest.approx(a)
    assert noise[1] == pytest.approx(a * decay + a * 10)
    assert noise[2] == pytest.approx((a * decay + a * 10) * later + b * 100)


@pytest.mark.parametrize(("sampler", "parts"), [(seeds_2, [0.5, 1.0]), (seeds_3, [1 / 3, 2 / 3, 1.0])])
def test_noise_is_asked_for_from_part_to_part(sampler: object, parts: list[float]) -> None:
    asked: list[float] = []
    x = torch.ones(1, 1, 1, 1)

    def noise(sigma: float, sigma_next: float) -> Tensor:
        asked.append(sigma_next)
        return torch.zeros_like(x)

    sigmas = torch.tensor([8.0, 1.0])
    assert callable(sampler)
    sampler(lambda x, sigma: x / 2, x, sigmas, noise=noise, callback=ignore_step)
    assert asked == pytest.approx([8.0 ** (1 - part) for part in parts])
