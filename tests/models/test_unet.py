"""The U-Net: against diffusers on tiny random weights, and against its own recorded numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from comfykit.models.layers import timestep_embedding
from comfykit.models.unet import UNet, UNetConfig

SD15 = UNetConfig(model_channels=32, context_dim=24)
SD21 = UNetConfig(model_channels=64, channel_mult=(1, 2, 2, 2), context_dim=24, use_linear=True)
SDXL = UNetConfig(
    model_channels=64,
    channel_mult=(1, 2, 4),
    num_res_blocks=(2, 2, 2),
    input_depths=(0, 0, 1, 1, 2, 2),
    middle_depth=2,
    output_depths=(2, 2, 2, 1, 1, 1, 0, 0, 0),
    context_dim=24,
    adm_in_channels=16 + 6 * 8,
    use_linear=True,
)
REFINER = UNetConfig(
    model_channels=64,
    channel_mult=(1, 2, 2, 2),
    input_depths=(0, 0, 2, 2, 2, 2, 0, 0),
    middle_depth=2,
    output_depths=(0, 0, 0, 2, 2, 2, 2, 2, 2, 0, 0, 0),
    context_dim=24,
    adm_in_channels=16 + 5 * 8,
    use_linear=True,
)


def random_unet(config: UNetConfig) -> UNet:
    """Weights that keep activations of order one, drawn in the order of the names."""
    network = UNet(config).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for name, tensor in sorted(network.state_dict().items()):
        noise = torch.randn(tensor.shape, generator=generator)
        if tensor.dim() == 1:
            tensor.copy_(0.1 * noise + (0.0 if name.endswith("bias") else 1.0))
        else:
            tensor.copy_(noise / tensor[0].numel() ** 0.5)
    return network


def inputs(config: UNetConfig, height: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, config.in_channels, height, width, generator=generator)
    context = torch.randn(2, 7, config.context_dim, generator=generator)
    y = None
    if config.adm_in_channels is not None:
        y = torch.randn(2, config.adm_in_channels, generator=generator)
    return x, torch.tensor([3.0, 801.5]), context, y


def test_timestep_embedding_is_the_formula() -> None:
    got = timestep_embedding(torch.tensor([0.0, 10.0]), 4)
    second = 10.0 * 10000.0**-0.5
    expected = torch.tensor(
        [[1.0, 1.0, 0.0, 0.0], [*torch.tensor([10.0, second]).cos(), *torch.tensor([10.0, second]).sin()]]
    )
    torch.testing.assert_close(got, expected)


def test_timestep_embedding_of_odd_width_ends_in_zero() -> None:
    got = timestep_embedding(torch.tensor([5.0]), 5)
    assert got.shape == (1, 5)
    assert got[0, -1] == 0


@pytest.mark.parametrize(("config", "heads"), [(SD15, (8, 8)), (SD21, (1, 4))])
def test_heads_follow_the_projection(config: UNetConfig, heads: tuple[int, int]) -> None:
    assert (config.heads(64), config.heads(256)) == heads


# Recorded from networks that agreed with diffusers 0.42 (see below).
RECORDED = {
    "sd15": (SD15, [0.6547, 0.4892, 0.6296, 0.9085]),
    "sd21": (SD21, [-1.1508, 0.2551, -0.2179, 0.3453]),
    "sdxl": (SDXL, [-0.6468, -0.5094, -1.298, 0.0642]),
    "refiner": (REFINER, [0.2678, -0.2971, 0.1141, 0.5102]),
}


@pytest.mark.parametrize("family", RECORDED)
def test_unet_gives_the_recorded_numbers(family: str) -> None:
    config, expected = RECORDED[family]
    out = random_unet(config)(*inputs(config, 8, 16))
    assert out.shape == (2, 4, 8, 16)
    torch.testing.assert_close(out[:, :2, 3, 5].flatten(), torch.tensor(expected), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (5, 6), (1, 3)])
def test_any_size_works(size: tuple[int, int]) -> None:
    out = random_unet(SD15)(*inputs(SD15, *size))
    assert out.shape == (2, 4, *size)
    assert out.isfinite().all()


def test_pictures_of_a_batch_do_not_mix() -> None:
    network = random_unet(SD15)
    x, timesteps, context, _ = inputs(SD15, 8, 8)
    both = network(x, timesteps, context)
    torch.testing.assert_close(both[1:], network(x[1:], timesteps[1:], context[1:]), rtol=1e-4, atol=1e-5)


def test_half_precision_weights_take_and_return_float32() -> None:
    network = random_unet(SD15)
    given = inputs(SD15, 8, 8)
    exact = network(*given)
    near = network.to(torch.bfloat16)(*given)
    assert near.dtype == torch.float32
    assert 0 < (near - exact).norm() / exact.norm() < 0.05


def test_a_network_with_a_vector_asks_for_it() -> None:
    x, timesteps, context, _ = inputs(SDXL, 8, 8)
    with pytest.raises(ValueError, match="64 per picture"):
        random_unet(SDXL)(x, timesteps, context)


def diffusers_unet(config: UNetConfig, weights: dict[str, Tensor]) -> Any:
    """The same network in diffusers, filled through diffusers' own conversion of single files."""
    diffusers = pytest.importorskip("diffusers")
    convert = pytest.importorskip("diffusers.loaders.single_file_utils").convert_ldm_unet_checkpoint
    widths = tuple(config.model_channels * mult for mult in config.channel_mult)
    ends = [sum(config.num_res_blocks[:level]) for level in range(len(widths))]
    depths = [config.input_depths[end] for end in ends]
    settings: dict[str, Any] = {
        "block_out_channels": widths,
        "down_block_types": tuple("CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths),
        "up_block_types": tuple("CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(depths)),
        "transformer_layers_per_block": [depth or config.middle_depth for depth in depths],
        "cross_attention_dim": config.context_dim,
        "attention_head_dim": tuple(config.heads(width) for width in widths),
        "use_linear_projection": config.use_linear,
    }
    if config.adm_in_channels is not None:
        settings |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": config.adm_in_channels,
        }
    network = diffusers.UNet2DConditionModel(**settings)
    prefixed = {f"model.diffusion_model.{name}": tensor for name, tensor in weights.items()}
    full = {**dict(network.config), "class_embed_type": None}
    network.load_state_dict(convert(prefixed, full), strict=True)
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("config", [SD15, SD21, SDXL, REFINER], ids=["sd15", "sd21", "sdxl", "refiner"])
@pytest.mark.parametrize("size", [(8, 16), (9, 13)])
def test_unet_agrees_with_diffusers(config: UNetConfig, size: tuple[int, int]) -> None:
    network = random_unet(config)
    reference = diffusers_unet(config, network.state_dict())
    x, timesteps, context, _ = inputs(config, *size)
    y, added = None, None
    if config.adm_in_channels is not None:
        text, numbers = torch.randn(2, 16), torch.randint(0, 1024, (2, (config.adm_in_channels - 16) // 8))
        y = torch.cat((text, timestep_embedding(numbers.flatten(), 8).reshape(2, -1)), dim=1)
        added = {"text_embeds": text, "time_ids": numbers}
    expected = reference(x, timesteps, context, added_cond_kwargs=added).sample
    torch.testing.assert_close(network(x, timesteps, context, y), expected, rtol=1e-4, atol=1e-4)
