"""The autoencoder: against diffusers on tiny random weights and its recorded numbers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from comfykit.models.vae import LOGVAR_RANGE, AutoencoderKL, VAEConfig

CONFIG = VAEConfig(ch=32, ch_mult=(1, 2, 2), num_res_blocks=1)
BARE = VAEConfig(ch=32, ch_mult=(1, 2), num_res_blocks=2, z_channels=16, embed_dim=None)


def random_vae(config: VAEConfig) -> AutoencoderKL:
    network = AutoencoderKL(config).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for name, tensor in sorted(network.state_dict().items()):
        noise = torch.randn(tensor.shape, generator=generator)
        if tensor.dim() == 1:
            tensor.copy_(0.1 * noise + (0.0 if name.endswith("bias") else 1.0))
        else:
            tensor.copy_(noise / tensor[0].numel() ** 0.5)
    return network


def pictures(height: int, width: int) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_encode_and_decode_give_the_recorded_numbers() -> None:
    network = random_vae(CONFIG)
    mean, logvar = network.encode(pictures(16, 24))
    pixels = network.decode(mean)
    assert mean.shape == logvar.shape == (2, 4, 4, 6)
    assert pixels.shape == (2, 3, 16, 24)
    close = {"rtol": 1e-3, "atol": 1e-4}
    torch.testing.assert_close(mean[0, :, 1, 2], torch.tensor([-0.0192, -0.2408, 0.6149, -0.3969]), **close)
    torch.testing.assert_close(logvar[1, :, 3, 0], torch.tensor([-0.142, 0.2291, 0.1756, 0.3412]), **close)
    torch.testing.assert_close(pixels[1, :, 7, 9], torch.tensor([-0.425, -1.016, -0.0848]), **close)


def test_without_quantisation_convolutions() -> None:
    network = random_vae(BARE)
    mean, _ = network.encode(pictures(8, 8))
    assert mean.shape == (2, 16, 4, 4)
    assert network.decode(mean).shape == (2, 3, 8, 8)


@pytest.mark.parametrize(
    ("config", "channels", "downscale"), [(CONFIG, 4, 4), (BARE, 16, 2), (VAEConfig(), 4, 8)]
)
def test_config_knows_the_latent(config: VAEConfig, channels: int, downscale: int) -> None:
    assert (config.latent_channels, config.downscale) == (channels, downscale)


def test_log_variance_is_bounded() -> None:
    network = random_vae(CONFIG)
    network.quant_conv.bias[4:] = torch.tensor([-1e4, 1e4, -1e4, 1e4])
    _, logvar = network.encode(pictures(8, 8))
    assert logvar.unique().tolist() == list(LOGVAR_RANGE)


def test_bfloat16_weights_take_and_return_float32() -> None:
    network = random_vae(CONFIG)
    exact, _ = network.encode(pictures(16, 16))
    near, _ = network.to(torch.bfloat16).encode(pictures(16, 16))
    assert near.dtype == torch.float32
    assert 0 < (near - exact).norm() / exact.norm() < 0.05


@pytest.mark.parametrize("config", [CONFIG, VAEConfig(ch=32)], ids=["small", "four levels"])
def test_vae_agrees_with_diffusers(config: VAEConfig) -> None:
    diffusers = pytest.importorskip("diffusers")
    convert = pytest.importorskip("diffusers.loaders.single_file_utils").convert_ldm_vae_checkpoint
    network = random_vae(config)
    widths = tuple(config.ch * mult for mult in config.ch_mult)
    reference = diffusers.AutoencoderKL(
        block_out_channels=widths,
        layers_per_block=config.num_res_blocks,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
    )
    reference.load_state_dict(convert(network.state_dict(), dict(reference.config)), strict=True)
    reference.eval().requires_grad_(False)
    given = pictures(32, 48)
    posterior = reference.encode(given).latent_dist
    mean, logvar = network.encode(given)
    torch.testing.assert_close(mean, posterior.mean, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(logvar, posterior.logvar, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(network.decode(mean), reference.decode(mean).sample, rtol=1e-4, atol=1e-4)
