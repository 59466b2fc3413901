from __future__ import annotations

import torch
from torch import Tensor

from comfykit.sampling.inpaint import MaskedDenoiser, fresh_noise
from comfykit.sampling.parametrization import EpsPrediction

LATENT = torch.full((1, 4, 4, 4), 0.5)
NOISE = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
MASK = torch.zeros(1, 1, 4, 4)
MASK[..., 2:] = 1.0


def test_outside_the_mask_x_is_the_latent_under_noise_and_the_prediction_the_latent() -> None:
    seen: list[Tensor] = []

    def denoiser(x: Tensor, sigma: Tensor) -> Tensor:
        seen.append(x)
        return torch.full_like(x, 9.0)

    x = torch.full_like(LATENT, 7.0)
    found = MaskedDenoiser(denoiser, MASK, LATENT, NOISE, EpsPrediction())(x, torch.tensor([2.0]))
    torch.testing.assert_close(seen[0][..., :2], (LATENT + 2 * NOISE)[..., :2])
    assert torch.equal(seen[0][..., 2:], x[..., 2:])
    assert torch.equal(found[..., :2], LATENT[..., :2])
    assert torch.equal(found[..., 2:], torch.full((1, 4, 4, 2), 9.0))


def test_values_between_mix_both() -> None:
    half = torch.full((1, 1, 4, 4), 0.25)
    found = MaskedDenoiser(lambda x, sigma: torch.ones_like(x), half, LATENT, NOISE, EpsPrediction())(
        LATENT, torch.tensor([2.0])
    )
    torch.testing.assert_close(found, torch.full_like(LATENT, 0.25 + 0.75 * 0.5))


def test_fresh_noise_is_that_of_the_next_seed() -> None:
    expected = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(8))
    assert torch.equal(fresh_noise(NOISE, 7), expected)
    first = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(fresh_noise(NOISE, 2**64 - 1), first)
