"""T2I-Adapters: against diffusers on tiny random weights, which also come through diffusers' names."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from comfykit.models.t2i_adapter import T2IAdapter, T2IAdapterConfig
from comfykit.models.unet import UNet, UNetConfig
from comfykit.weights.adapter_layout import adapter_config, adapter_tensors, is_adapter
from comfykit.weights.kinds import kind_of
from comfykit.weights.load import build

CONFIGS = {
    "full_adapter": T2IAdapterConfig(channels=(32, 64, 64, 96)),
    "full_adapter_xl": T2IAdapterConfig(channels=(32, 64, 96, 96), large=True),
    "light_adapter": T2IAdapterConfig(channels=(32, 64, 96, 96), blocks=4, light=True),
    "grey": T2IAdapterConfig(hint_channels=1, channels=(32, 64, 64, 96)),
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_features_agree_with_diffusers(kind: str) -> None:
    diffusers = pytest.importorskip("diffusers")
    config = CONFIGS[kind]
    torch.manual_seed(0)
    reference: Any = diffusers.T2IAdapter(
        in_channels=config.hint_channels,
        channels=list(config.channels)[: 3 if config.light else 4],
        num_res_blocks=config.blocks,
        downscale_factor=config.unshuffle,
        adapter_type="full_adapter" if kind == "grey" else kind,
    ).requires_grad_(False)
    assert kind_of(reference.state_dict()) == "controlnet"
    assert is_adapter(reference.state_dict())
    tensors = adapter_tensors(reference.state_dict())
    found = adapter_config({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    assert found == config
    network = build(lambda: T2IAdapter(found), tensors, what="the adapter")
    hint = torch.rand(2, 3, 64, 128)
    given = hint.mean(1, keepdim=True) if config.hint_channels == 1 else hint
    expected = reference(given)
    for ours, theirs in zip(network.read_hint(hint), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_authors_layout_needs_no_other_names(kind: str) -> None:
    tensors = dict(T2IAdapter(CONFIGS[kind]).state_dict())
    assert kind_of(tensors) == "controlnet"
    assert is_adapter(tensors)
    assert adapter_tensors(tensors) == tensors
    assert adapter_config({name: tuple(tensor.shape) for name, tensor in tensors.items()}) == CONFIGS[kind]


SD15 = UNetConfig(model_channels=32, channel_mult=(1, 2, 2, 3), context_dim=24)
SDXL = UNetConfig(
    model_channels=32,
    channel_mult=(1, 2, 3),
    num_res_blocks=(2, 2, 2),
    input_depths=(0, 0, 1, 1, 2, 2),
    output_depths=(2, 2, 2, 1, 1, 1, 0, 0, 0),
    context_dim=24,
)


@pytest.mark.parametrize(
    ("kind", "config", "size"),
    [
        ("full_adapter", SD15, (8, 16)),
        ("full_adapter", SD15, (9, 13)),
        ("full_adapter_xl", SDXL, (8, 16)),
        ("full_adapter_xl", SDXL, (10, 14)),
    ],
)
def test_features_belong_to_the_u_net(kind: str, config: UNetConfig, size: tuple[int, int]) -> None:
    """Every residual has the shape of what it is added to."""
    network = T2IAdapter(CONFIGS[kind]).requires_grad_(False)
    hint = torch.rand(
        1, 3, *(-(-8 * side // network.config.unshuffle) * network.config.unshuffle for side in size)
    )
    residuals = network.residuals(network.read_hint(hint))
    unet = UNet(config).requires_grad_(False)
    shapes: list[torch.Size] = []
    for block in (*unet.input_blocks, unet.middle_block):
        block.register_forward_hook(lambda _module, _given, out: shapes.append(out.shape))
    given = torch.randn(1, 4, *size), torch.tensor([500.0]), torch.randn(1, 7, 24)
    plain = unet(*given)
    added = {index: one.shape for index, one in enumerate(residuals.input) if one is not None}
    assert added == {place: shapes[place] for place in network.places}
    assert (residuals.middle is not None) is network.config.large
    assert residuals.middle is None or residuals.middle.shape == shapes[-1]
    assert not torch.allclose(unet(*given, control=residuals), plain, atol=1e-3)
