"""The tiny autoencoder: against diffusers on random weights."""

from __future__ import annotations

import pytest
import torch

from comfykit.models.pixel_space import PixelSpace
from comfykit.models.taesd import TAESD, TAESDConfig


@pytest.fixture
def network() -> TAESD:
    torch.manual_seed(0)
    return TAESD(TAESDConfig(width=16, latent_channels=4, scale=0.5)).eval().requires_grad_(False)


def pictures() -> torch.Tensor:
    return torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_shapes_and_names(network: TAESD) -> None:
    latent = network.to_latent(pictures())
    assert latent.shape == (2, 4, 2, 3)
    assert network.decode(latent).shape == (2, 3, 16, 24)
    names = network.state_dict()
    assert names["encoder.14.weight"].shape == (4, 16, 3, 3)
    assert names["decoder.1.weight"].shape == (16, 4, 3, 3)
    assert names["decoder.19.weight"].shape == (3, 16, 3, 3)
    assert "encoder.2.bias" not in names
    assert "decoder.7.bias" not in names


def test_latents_are_in_the_scale_of_the_vae(network: TAESD) -> None:
    other = TAESD(TAESDConfig(width=16, latent_channels=4, scale=0.25))
    other.load_state_dict(network.state_dict())
    latent = network.to_latent(pictures())
    torch.testing.assert_close(other.to_latent(pictures()), 2 * latent)
    torch.testing.assert_close(other.decode(2 * latent), network.decode(latent))


def test_as_diffusers(network: TAESD) -> None:
    diffusers = pytest.importorskip("diffusers")
    theirs = diffusers.AutoencoderTiny(
        encoder_block_out_channels=(16, 16, 16, 16), decoder_block_out_channels=(16, 16, 16, 16)
    ).eval()
    tensors = {}
    for name, tensor in network.state_dict().items():
        side, number, rest = name.split(".", 2)
        # Its decoder has no layer for the clamp, which it does by itself.
        place = int(number) - (1 if side == "decoder" else 0)
        tensors[f"{side}.layers.{place}.{rest}"] = tensor
    theirs.load_state_dict(tensors)
    close = {"rtol": 1e-4, "atol": 1e-5}
    latent = theirs.encode(pictures()).latents
    torch.testing.assert_close(network.to_latent(pictures()) * 0.5, latent, **close)
    torch.testing.assert_close(network.decode(latent / 0.5), theirs.decode(latent).sample, **close)


def test_pixels_are_latents_of_themselves() -> None:
    assert torch.equal(PixelSpace().decode(PixelSpace().to_latent(pictures())), pictures())
