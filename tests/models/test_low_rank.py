from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from comfykit.models.attention import PixelLinear
from comfykit.models.low_rank import LowRank, add_low_rank

LAYERS = {
    "linear": (nn.Linear(6, 5), (2, 3, 6)),
    "a linear layer stored as a convolution": (PixelLinear(6, 5), (2, 3, 6)),
    "a convolution": (nn.Conv2d(6, 5, 3, stride=2, padding=1), (2, 6, 7, 7)),
}


def factors(layer: nn.Module) -> tuple[Tensor, Tensor]:
    weight = layer.get_parameter("weight")
    return torch.randn(weight.shape[0], 2), torch.randn(2, weight[0].numel())


@pytest.mark.parametrize("name", LAYERS)
def test_it_computes_with_the_sum(name: str) -> None:
    layer, shape = LAYERS[name]
    up, down = factors(layer)
    x = torch.randn(shape)
    found = LowRank(layer, up, down)(x)
    weight = layer.get_parameter("weight")
    before = weight.data
    weight.data = before + (up @ down).reshape(before.shape)
    expected = layer(x)
    weight.data = before
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, layer(x))


def test_factors_may_have_the_shape_of_convolutions() -> None:
    layer = nn.Conv2d(6, 5, 3)
    up, down = factors(layer)
    x = torch.randn(1, 6, 4, 4)
    as_convolutions = LowRank(layer, up[:, :, None, None], down.reshape(2, 6, 3, 3))
    assert torch.equal(as_convolutions(x), LowRank(layer, up, down)(x))


def test_layers_are_replaced_and_their_weights_shared() -> None:
    inner = nn.Linear(4, 4)
    network = nn.Sequential(nn.Sequential(inner), nn.Linear(4, 4))
    add_low_rank(network, {"0.0": factors(inner)})
    replaced = network.get_submodule("0.0")
    assert isinstance(replaced, LowRank)
    assert replaced.layer is inner
    assert isinstance(network[1], nn.Linear)
