from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import Tensor

from comfykit.errors import ModelFileError
from comfykit.models.controlnet import ControlNet, ControlNetConfig
from comfykit.models.low_rank import LowRank
from comfykit.models.unet import UNet, UNetConfig
from comfykit.weights.control_lora import ControlLora

CONFIG = UNetConfig(
    model_channels=32,
    channel_mult=(1, 2),
    num_res_blocks=(1, 1),
    input_depths=(1, 0),
    output_depths=(0, 0, 1, 1),
    context_dim=24,
)
OWN = ("input_hint_block.", "zero_convs.", "middle_block_out.")
LAYERS = ("input_blocks.0.0", "input_blocks.1.0.in_layers.2", "input_blocks.1.1.proj_in", "time_embed.0")


@pytest.fixture
def unet() -> UNet:
    return UNet(CONFIG).eval().requires_grad_(False)


@pytest.fixture
def tensors(unet: UNet) -> dict[str, Tensor]:
    """A whole norm, four layers with differences, and what only ControlNets have."""
    whole = ControlNet(ControlNetConfig(CONFIG)).state_dict()
    found = {name: tensor for name, tensor in whole.items() if name.startswith(OWN)}
    found["input_blocks.1.0.in_layers.0.weight"] = torch.full((32,), 2.0)
    for layer in LAYERS:
        weight = unet.get_parameter(f"{layer}.weight")
        found[f"{layer}.up"] = torch.randn(weight.shape[0], 2)
        found[f"{layer}.down"] = torch.randn(2, weight[0].numel())
    return found


def merged(unet: UNet, tensors: dict[str, Tensor]) -> ControlNet:
    """A ControlNet with copies of the weights and the differences in them."""
    network = ControlNet(ControlNetConfig(CONFIG))
    weights = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    weights |= {name: tensor for name, tensor in tensors.items() if not name.endswith((".up", ".down"))}
    for layer in LAYERS:
        difference = tensors[f"{layer}.up"] @ tensors[f"{layer}.down"]
        weights[f"{layer}.weight"] += difference.reshape(weights[f"{layer}.weight"].shape)
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    return network.eval().requires_grad_(False)


def test_it_is_the_u_net_and_the_differences(unet: UNet, tensors: dict[str, Tensor]) -> None:
    network = ControlLora(tensors, "the Control-LoRA").network_for(unet)
    given = torch.randn(1, 4, 8, 8), torch.rand(1, 3, 64, 64), torch.tensor([500.0]), torch.randn(1, 7, 24)
    x, hint, timesteps, context = given
    found = network(x, network.read_hint(hint), timesteps, context)
    expected_network = merged(unet, tensors)
    expected = expected_network(x, expected_network.read_hint(hint), timesteps, context)
    torch.testing.assert_close(found.output, expected.output)
    torch.testing.assert_close(found.middle, expected.middle)


def test_parameters_are_those_of_the_u_net(unet: UNet, tensors: dict[str, Tensor]) -> None:
    network = ControlLora(tensors, "the Control-LoRA").network_for(unet)
    changed = network.get_submodule("input_blocks.1.1.proj_in")
    assert isinstance(changed, LowRank)
    assert changed.layer.weight is unet.get_parameter("input_blocks.1.1.proj_in.weight")
    plain = "input_blocks.1.1.proj_out.weight"
    assert network.get_parameter(plain) is unet.get_parameter(plain)
    own = network.get_parameter("input_blocks.1.0.in_layers.0.weight")
    assert own is not unet.get_parameter("input_blocks.1.0.in_layers.0.weight")
    ours = {id(parameter) for parameter in unet.parameters()}
    added = sum(one.numel() for one in network.parameters() if id(one) not in ours)
    assert added == sum(tensor.numel() for tensor in tensors.values())


def test_it_is_built_once_and_goes_with_the_u_net(unet: UNet, tensors: dict[str, Tensor]) -> None:
    lora = ControlLora(tensors, "the Control-LoRA")
    other = UNet(CONFIG)
    gone = weakref.ref(lora.network_for(other))
    assert lora.network_for(unet) is lora.network_for(unet)
    assert gone() is lora.network_for(other)
    del other
    gc.collect()
    assert gone() is None


def test_a_u_net_of_another_width_is_refused(tensors: dict[str, Tensor]) -> None:
    other = UNet(
        UNetConfig(model_channels=64, num_res_blocks=(1, 1), channel_mult=(1, 2), input_depths=(1, 0))
    )
    with pytest.raises(ModelFileError, match="the Control-LoRA does not fit the model: 5 of its tensors"):
        ControlLora(tensors, "the Control-LoRA").network_for(other)
