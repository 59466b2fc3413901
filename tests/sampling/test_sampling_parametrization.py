from __future__ import annotations

import pytest
import torch

from comfykit.sampling.parametrization import (
    EDMPrediction,
    EpsPrediction,
    FlowTimePrediction,
    ImageToImage,
    Parametrization,
    VPrediction,
    X0Prediction,
)

SIGMA = torch.tensor([0.3, 7.0])


@pytest.fixture
def x0() -> torch.Tensor:
    return torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def noise() -> torch.Tensor:
    return torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(1))


def test_a_network_that_knows_the_noise_gives_the_latent(x0: torch.Tensor, noise: torch.Tensor) -> None:
    eps = EpsPrediction()
    x = eps.noise_latent(SIGMA, noise, x0, max_denoise=False)
    torch.testing.assert_close(eps.denoised(SIGMA, noise, x), x0, atol=1e-5, rtol=1e-5)


def test_a_network_that_knows_the_velocity_gives_the_latent(x0: torch.Tensor, noise: torch.Tensor) -> None:
    v = VPrediction()
    x = v.noise_latent(SIGMA, noise, x0, max_denoise=False)
    alpha = (1 / (SIGMA**2 + 1).sqrt()).reshape(2, 1, 1, 1)
    beta = (1 - alpha**2).sqrt()
    velocity = alpha * noise - beta * x0
    torch.testing.assert_close(v.denoised(SIGMA, velocity, x), x0, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", [EpsPrediction(), VPrediction()])
def test_the_input_has_the_variance_of_noise(kind: Parametrization, noise: torch.Tensor) -> None:
    other = torch.randn(2, 4, 64, 64, generator=torch.Generator().manual_seed(2))
    data = torch.randn(2, 4, 64, 64, generator=torch.Generator().manual_seed(3))
    scaled = kind.scale_input(SIGMA, kind.noise_latent(SIGMA, other, data, max_denoise=False))
    assert scaled.var(dim=(1, 2, 3)).tolist() == pytest.approx([1.0, 1.0], abs=0.05)


def test_the_first_state_at_the_largest_level_has_the_variance_of_noise_and_data(noise: torch.Tensor) -> None:
    latent = torch.full_like(noise, 0.25)
    sigma = torch.tensor(3.0)
    eps = EpsPrediction()
    torch.testing.assert_close(eps.noise_latent(sigma, noise, latent, max_denoise=False), noise * 3 + 0.25)
    torch.testing.assert_close(
        eps.noise_latent(sigma, noise, latent, max_denoise=True), noise * 10**0.5 + 0.25
    )


@pytest.mark.parametrize(
    "kind", [EpsPrediction(sigma_data=0.5), VPrediction(sigma_data=0.5), EDMPrediction()]
)
def test_the_input_has_variance_one_for_data_of_that_deviation(kind: Parametrization) -> None:
    other = torch.randn(2, 4, 64, 64, generator=torch.Generator().manual_seed(2))
    data = torch.randn(2, 4, 64, 64, generator=torch.Generator().manual_seed(3)) * 0.5
    scaled = kind.scale_input(SIGMA, kind.noise_latent(SIGMA, other, data, max_denoise=False))
    assert scaled.var(dim=(1, 2, 3)).tolist() == pytest.approx([1.0, 1.0], abs=0.05)


def test_a_network_that_knows_what_edm_asks_for_gives_the_latent(
    x0: torch.Tensor, noise: torch.Tensor
) -> None:
    # The target of EDM's training: (x0 - c_skip x) / c_out.
    edm = EDMPrediction()
    x = edm.noise_latent(SIGMA, noise, x0, max_denoise=False)
    s = SIGMA.reshape(2, 1, 1, 1)
    target = (x0 - 0.25 / (s**2 + 0.25) * x) / (s * 0.5 / (s**2 + 0.25).sqrt())
    torch.testing.assert_close(edm.denoised(SIGMA, target, x), x0, atol=1e-5, rtol=1e-5)


def test_velocity_is_what_edm_asks_for_turned_round(x0: torch.Tensor, noise: torch.Tensor) -> None:
    v, edm = VPrediction(sigma_data=0.5), EDMPrediction()
    torch.testing.assert_close(v.denoised(SIGMA, noise, x0), edm.denoised(SIGMA, -noise, x0))


def test_a_network_that_knows_the_flow_gives_the_latent(x0: torch.Tensor, noise: torch.Tensor) -> None:
    flow = FlowTimePrediction()
    x = flow.noise_latent(SIGMA, noise, x0, max_denoise=False)
    t = (SIGMA / (1 + SIGMA)).reshape(2, 1, 1, 1)
    torch.testing.assert_close(flow.scale_input(SIGMA, x), (1 - t) * x0 + t * noise)
    torch.testing.assert_close(flow.denoised(SIGMA, noise - x0, x), x0, atol=1e-5, rtol=1e-5)


def test_a_network_that_gives_the_latent_is_believed(x0: torch.Tensor, noise: torch.Tensor) -> None:
    for kind in (X0Prediction(), ImageToImage()):
        assert kind.denoised(SIGMA, x0, noise) is x0
    assert ImageToImage().scale_input(SIGMA, noise) is noise
    torch.testing.assert_close(
        X0Prediction().scale_input(SIGMA, noise), EpsPrediction().scale_input(SIGMA, noise)
    )


def test_what_is_left_over_is_handed_out_as_it_is(x0: torch.Tensor) -> None:
    assert EpsPrediction().finish(torch.tensor(2.0), x0) is x0
