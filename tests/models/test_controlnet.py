"""ControlNets: against diffusers on tiny random weights, which also come through diffusers' names."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from comfykit.models.control import ControlResiduals
from comfykit.models.controlnet import ControlNet, ControlNetConfig
from comfykit.models.controlnet_union import UnionConfig
from comfykit.models.layers import timestep_embedding
from comfykit.models.unet import UNet, UNetConfig
from comfykit.weights.controlnet_layout import control_tensors, controlnet_config
from comfykit.weights.load import build

SD15 = UNetConfig(model_channels=32, context_dim=24)
SD21 = UNetConfig(model_channels=64, channel_mult=(1, 2, 2, 2), context_dim=24, use_linear=True)
SDXL = UNetConfig(
    model_channels=64,
    channel_mult=(1, 2, 4),
    num_res_blocks=(2, 2, 2),
    input_depths=(0, 0, 1, 1, 2, 2),
    middle_depth=2,
    context_dim=24,
    adm_in_channels=16 + 6 * 8,
    use_linear=True,
)
HINT_WIDTHS = (16, 16, 32, 32, 48, 48, 64)


def settings(config: UNetConfig) -> dict[str, Any]:
    """What diffusers calls the same configuration."""
    widths = tuple(config.model_channels * mult for mult in config.channel_mult)
    ends = [sum(config.num_res_blocks[:level]) for level in range(len(widths))]
    depths = [config.input_depths[end] for end in ends]
    found: dict[str, Any] = {
        "block_out_channels": widths,
        "down_block_types": tuple("CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths),
        "transformer_layers_per_block": [depth or config.middle_depth for depth in depths],
        "cross_attention_dim": config.context_dim,
        "attention_head_dim": tuple(config.heads(width) for width in widths),
        "use_linear_projection": config.use_linear,
        "conditioning_embedding_out_channels": HINT_WIDTHS[::2],
    }
    if config.adm_in_channels is not None:
        found |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": config.adm_in_channels,
        }
    return found


def filled(reference: Any) -> Any:
    """The network with random weights everywhere: those that training starts at 0 too."""
    generator = torch.Generator().manual_seed(0)
    for tensor in reference.parameters():
        noise = torch.randn(tensor.shape, generator=generator)
        tensor.data = noise / tensor[0].numel() ** 0.5 if tensor.dim() > 1 else 1.0 + 0.1 * noise
    return reference.eval().requires_grad_(False)


def ours(reference: nn.Module) -> ControlNet:
    tensors = control_tensors(reference.state_dict())
    config = controlnet_config({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    return build(lambda: ControlNet(config), tensors, what="the ControlNet")


def inputs(config: UNetConfig, height: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, hint, timesteps, context of two pictures."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 4, height, width, generator=generator)
    hint = torch.rand(2, 3, 8 * height, 8 * width, generator=generator)
    context = torch.randn(2, 7, config.context_dim, generator=generator)
    return x, hint, torch.tensor([3.0, 801.5]), context


def sizes(config: UNetConfig) -> tuple[Tensor | None, dict[str, Tensor] | None]:
    """y, and what diffusers makes it of."""
    if config.adm_in_channels is None:
        return None, None
    generator = torch.Generator().manual_seed(2)
    text = torch.randn(2, 16, generator=generator)
    numbers = torch.randint(0, 1024, (2, 6), generator=generator)
    y = torch.cat((text, timestep_embedding(numbers.flatten(), 8).reshape(2, -1)), dim=1)
    return y, {"text_embeds": text, "time_ids": numbers}


def assert_same(found: ControlResiduals, expected: Any) -> None:
    down, middle = expected
    assert len(found.output) == len(down)
    for ours_is, theirs_is in zip((*found.output, found.middle), (*down, middle), strict=True):
        torch.testing.assert_close(ours_is, theirs_is, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("config", [SD15, SD21, SDXL], ids=["sd15", "sd21", "sdxl"])
@pytest.mark.parametrize("size", [(8, 16), (9, 13)])
def test_residuals_agree_with_diffusers(config: UNetConfig, size: tuple[int, int]) -> None:
    diffusers = pytest.importorskip("diffusers")
    reference = filled(diffusers.ControlNetModel(**settings(config)))
    x, hint, timesteps, context = inputs(config, *size)
    y, added = sizes(config)
    expected = reference(x, timesteps, context, hint, added_cond_kwargs=added, return_dict=False)
    network = ours(reference)
    assert_same(network(x, network.read_hint(hint), timesteps, context, y), expected)


@pytest.mark.parametrize("kind", [0, 5])
def test_a_union_network_agrees_with_diffusers(kind: int) -> None:
    """diffusers has the same hint in every row: its transformer mixes rows, ours reads each hint alone."""
    diffusers = pytest.importorskip("diffusers")
    union = {"num_control_type": 6, "num_trans_channel": 64, "num_trans_head": 2, "num_proj_channel": 64}
    reference = filled(diffusers.ControlNetUnionModel(**settings(SDXL), **union))
    x, hints, timesteps, context = inputs(SDXL, 8, 8)
    hint = hints[:1].expand(2, -1, -1, -1)
    y, added = sizes(SDXL)
    types = torch.nn.functional.one_hot(torch.tensor([kind, kind]), 6).float()
    expected = reference(
        x, timesteps, context, [hint], types, [kind], added_cond_kwargs=added, return_dict=False
    )
    network = ours(reference)
    assert network.union == UnionConfig(6, 8, 1)
    assert_same(network(x, network.read_hint(hint, kind), timesteps, context, y, kind), expected)


def test_a_hint_of_no_type_is_read_as_it_is() -> None:
    config = ControlNetConfig(SD15, hint_widths=HINT_WIDTHS, union=UnionConfig(6, 8, 1))
    network = filled(ControlNet(config))
    hint = inputs(SD15, 4, 4)[1]
    assert torch.equal(network.read_hint(hint), network.input_hint_block(hint))
    assert not torch.equal(network.read_hint(hint, 1), network.read_hint(hint, 2))
    assert not torch.equal(network.control_add_embedding(None), network.control_add_embedding(1))


@pytest.fixture(scope="module")
def network() -> ControlNet:
    found = filled(ControlNet(ControlNetConfig(SD15, hint_widths=HINT_WIDTHS)))
    assert isinstance(found, ControlNet)
    return found


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (5, 6), (1, 3)])
def test_residuals_have_the_sizes_of_the_u_net(network: ControlNet, size: tuple[int, int]) -> None:
    x, hint, timesteps, context = inputs(SD15, *size)
    residuals = network(x, network.read_hint(hint), timesteps, context)
    unet = filled(UNet(SD15))
    plain = unet(x, timesteps, context)
    controlled = unet(x, timesteps, context, control=residuals)
    assert controlled.shape == plain.shape
    assert not torch.allclose(controlled, plain, atol=1e-2)


def test_one_hint_serves_all_pictures(network: ControlNet) -> None:
    x, hint, timesteps, context = inputs(SD15, 8, 8)
    one = network(x, network.read_hint(hint[:1]), timesteps, context)
    both = network(x, network.read_hint(hint[:1].expand(2, -1, -1, -1)), timesteps, context)
    torch.testing.assert_close(one.middle, both.middle, rtol=1e-4, atol=1e-4)


def test_half_precision_weights_take_float32(network: ControlNet) -> None:
    config = ControlNetConfig(SD15, hint_widths=HINT_WIDTHS)
    halved = build(
        lambda: ControlNet(config),
        {name: tensor.bfloat16() for name, tensor in network.state_dict().items()},
        what="the ControlNet",
    )
    x, hint, timesteps, context = inputs(SD15, 8, 8)
    exact = network(x, network.read_hint(hint), timesteps, context).middle
    near = halved(x, halved.read_hint(hint), timesteps, context).middle
    assert near.dtype == torch.bfloat16
    assert 0 < (near.float() - exact).norm() / exact.norm() < 0.05
