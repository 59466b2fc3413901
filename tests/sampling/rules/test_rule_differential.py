from __future__ import annotations

import pytest
import torch
from torch import Tensor

from comfykit.sampling.noise_levels import DiscreteNoiseLevels
from comfykit.sampling.rules.differential import differential

MASK = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]).reshape(1, 1, 1, 5)


def at(timestep: float, levels: DiscreteNoiseLevels, *ends: float, strength: float = 1.0) -> list[float]:
    sigma = levels.sigma(torch.tensor([timestep]))
    sigmas = torch.cat([levels.sigma(torch.tensor(ends)), torch.zeros(1)])
    found: Tensor = differential(sigma, MASK, sigmas=sigmas, levels=levels, strength=strength)
    return [round(value, 4) for value in found.flatten().tolist()]


def test_a_place_is_free_once_its_part_of_the_run_is_left(levels: DiscreteNoiseLevels) -> None:
    assert at(999, levels, 999) == [0, 0, 0, 0, 1]
    assert at(500, levels, 999) == [0, 0, 0, 1, 1]
    assert at(499, levels, 999) == [0, 0, 1, 1, 1]
    assert at(0, levels, 999) == [1, 1, 1, 1, 1]


def test_parts_are_those_of_the_run_not_of_the_model(levels: DiscreteNoiseLevels) -> None:
    assert at(400, levels, 400) == [0, 0, 0, 0, 1]
    assert at(200, levels, 400) == [0, 0, 1, 1, 1]


def test_strength_mixes_in_the_mask_itself(levels: DiscreteNoiseLevels) -> None:
    assert at(400, levels, 400, strength=0.5) == [0, 0.125, 0.25, 0.375, 1]
    assert at(400, levels, 400, strength=0.0) == pytest.approx(MASK.flatten().tolist())


def test_a_run_of_one_level_frees_everything(levels: DiscreteNoiseLevels) -> None:
    sigma = levels.sigma(torch.tensor([0.0]))
    found = differential(sigma, MASK, sigmas=torch.cat((sigma, sigma)), levels=levels, strength=1.0)
    assert bool(found.all())
