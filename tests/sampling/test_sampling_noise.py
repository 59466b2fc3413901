from __future__ import annotations

import warnings

import pytest
import torch

from comfykit.errors import UsageError
from comfykit.sampling.noise import (
    BrownianNoise,
    RandnNoise,
    brownian_noise,
    initial_noise,
    no_noise,
)

LATENT = torch.zeros(3, 4, 8, 8)


def test_initial_noise_is_torchs_own_for_the_seed() -> None:
    torch.manual_seed(42)
    expected = torch.randn(3, 4, 8, 8)
    assert torch.equal(initial_noise(LATENT, 42), expected)
    assert initial_noise(LATENT.half(), 42).dtype == torch.float16


def test_later_draws_go_on_where_the_initial_noise_ended() -> None:
    torch.manual_seed(42)
    torch.randn(3, 4, 8, 8)
    expected = torch.randint(1000, (5,))
    initial_noise(LATENT, 42)
    assert torch.equal(torch.randint(1000, (5,)), expected)


def test_the_largest_seed_is_a_seed() -> None:
    assert initial_noise(LATENT, 2**64 - 1).shape == LATENT.shape


def test_batch_index_gives_each_picture_the_noise_of_its_place() -> None:
    batch = initial_noise(torch.zeros(4, 4, 8, 8), 7, batch_index=[0, 1, 2, 3])
    assert torch.equal(initial_noise(torch.zeros(2, 4, 8, 8), 7, batch_index=[2, 3]), batch[2:])
    assert torch.equal(initial_noise(LATENT, 7, batch_index=[3, 0, 3]), batch[[3, 0, 3]])


@pytest.mark.parametrize("batch_index", [[0, 1], [], [0, 1, -1]])
def test_batch_index_must_name_a_place_for_each(batch_index: list[int]) -> None:
    with pytest.raises(UsageError, match="batch_index"):
        initial_noise(LATENT, 7, batch_index=batch_index)


def test_step_noise_begins_as_the_initial_noise_and_goes_on() -> None:
    noise = RandnNoise(LATENT, 9)
    first, second = noise(3.0, 2.0), noise(2.0, 1.0)
    assert torch.equal(first, initial_noise(LATENT, 9))
    assert not torch.equal(first, second)


def test_step_noise_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    RandnNoise(LATENT, 9)(3.0, 2.0)
    assert torch.equal(torch.rand(1), expected)


def test_brownian_increments_add_up() -> None:
    noise = BrownianNoise(LATENT, 0.5, 10.0, seed=3, cpu=True)
    whole = noise(10.0, 0.5) * 9.5**0.5
    parts = noise(10.0, 4.0) * 6**0.5 + noise(4.0, 0.5) * 3.5**0.5
    torch.testing.assert_close(whole, parts, atol=1e-4, rtol=0)


def test_brownian_noise_depends_on_the_seed_and_the_levels_alone() -> None:
    first = BrownianNoise(LATENT, 0.5, 10.0, seed=3, cpu=True)
    first(10.0, 7.0)
    asked_before = first(7.0, 2.0)
    assert torch.equal(BrownianNoise(LATENT, 0.5, 10.0, seed=3, cpu=True)(7.0, 2.0), asked_before)
    assert not torch.equal(BrownianNoise(LATENT, 0.5, 10.0, seed=4, cpu=True)(7.0, 2.0), asked_before)


def test_brownian_noise_has_variance_one_and_turns_with_the_direction() -> None:
    noise = BrownianNoise(torch.zeros(1, 1, 200, 200), 0.03, 14.6, seed=0, cpu=True)
    for sigma, sigma_next in ((14.6, 9.0), (1.0, 0.9), (0.04, 0.03)):
        assert float(noise(sigma, sigma_next).var()) == pytest.approx(1.0, abs=0.03)
    assert torch.equal(noise(1.0, 2.0), -noise(2.0, 1.0))


def test_the_tree_lies_between_the_smallest_positive_and_the_largest_level() -> None:
    sigmas = torch.tensor([14.614641189575195, 3.1, 0.029167491942644119, 0.0])
    noise = brownian_noise(LATENT, sigmas, 3)
    tree = BrownianNoise(LATENT, float(sigmas[2]), float(sigmas[0]), 3, cpu=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torchsde warns about times beyond its ends
        found = noise(float(sigmas[0]), float(sigmas[2]))
    assert torch.equal(found, tree(float(sigmas[0]), float(sigmas[2])))


def test_a_single_step_to_zero_needs_no_tree() -> None:
    assert brownian_noise(LATENT, torch.tensor([5.0, 0.0]), 0)(5.0, 0.0).abs().max() == 0


def test_no_noise_is_none() -> None:
    assert torch.equal(no_noise(LATENT, torch.tensor([1.0, 0.0]), 5)(1.0, 0.0), LATENT)
