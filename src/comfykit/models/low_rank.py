"""Layers that share another network's weights and add a product of low rank to them."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.func import functional_call


class LowRank(nn.Module):
    """A layer with the weight W + B A in place of W ("LoRA", arXiv 2106.09685, section 4.1).

    `up` (B) is [out, rank, ...], `down` (A) [rank, in, ...]. The sum is made anew for every call, so that
    W may be shared with a network that keeps it as it is, and no copy of it stays.
    """

    def __init__(self, layer: nn.Module, up: Tensor, down: Tensor) -> None:
        super().__init__()
        self.layer = layer
        self.up = nn.Parameter(up, requires_grad=False)
        self.down = nn.Parameter(down, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """What the layer makes of `x` with the other weight."""
        weight = self.layer.get_parameter("weight")
        difference = self.up.flatten(1) @ self.down.flatten(1)
        changed = {"weight": weight + difference.reshape(weight.shape)}
        out: Tensor = functional_call(self.layer, changed, (x,))
        return out


def add_low_rank(network: nn.Module, differences: Mapping[str, tuple[Tensor, Tensor]]) -> None:
    """Put `LowRank` around the layers named in `differences`, with (up, down) of each."""
    for name, (up, down) in differences.items():
        parent, _, child = name.rpartition(".")
        setattr(network.get_submodule(parent), child, LowRank(network.get_submodule(name), up, down))
