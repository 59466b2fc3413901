from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from comfykit.models.hooks import BlockInfo, CallInfo, UNetHooks
from comfykit.models.unet import UNet, UNetConfig
from comfykit.models.unet_hooks.deep_shrink import DeepShrink


def nearest(x: Tensor, width: int, height: int) -> Tensor:
    return F.interpolate(x, size=(height, width))


def shrinking(block: int = 3, factor: float = 2.0) -> DeepShrink:
    return DeepShrink(block, factor, start_sigma=10.0, end_sigma=1.0, shrink=nearest, enlarge=nearest)


def at(number: int, sigma: float) -> BlockInfo:
    return BlockInfo(torch.full((2,), sigma), (0,), (8, 12), number=number)


@pytest.mark.parametrize(
    ("number", "sigma", "size"),
    [
        (3, 5.0, (4, 6)),
        (3, 10.0, (4, 6)),
        (3, 1.0, (4, 6)),
        (3, 10.1, (8, 12)),
        (3, 0.9, (8, 12)),
        (2, 5.0, (8, 12)),
    ],
)
def test_features_shrink_at_one_block_and_some_levels(
    number: int, sigma: float, size: tuple[int, int]
) -> None:
    found = shrinking().shrunk(torch.ones(2, 4, 8, 12), at(number, sigma))
    assert found.shape == (2, 4, *size)


# With the block's own connection shrunk too, the upsampling after it makes up for the size.
@pytest.mark.parametrize(("after_skip", "enlarged_at"), [(True, [8]), (False, [])])
def test_features_are_enlarged_where_they_meet_the_first_larger_connection(
    after_skip: bool, enlarged_at: list[int]
) -> None:
    torch.manual_seed(0)
    network = UNet(UNetConfig(model_channels=32, context_dim=24)).eval().requires_grad_(False)
    grown: list[int] = []

    def watch(h: Tensor, skip: Tensor, info: BlockInfo) -> tuple[Tensor, Tensor]:
        if h.shape[-1] != skip.shape[-1]:
            grown.append(info.number)
        return h, skip

    hooks = shrinking().added_to(UNetHooks().with_before_output(watch), after_skip=after_skip)
    x, context = torch.randn(1, 4, 16, 24), torch.randn(1, 7, 24)
    call = CallInfo(torch.tensor([5.0]), (0,), (16, 24))
    out = network(x, torch.tensor([500.0]), context, hooks=hooks, call=call)
    assert out.shape == x.shape
    assert grown == enlarged_at


def test_sizes_that_do_not_divide_are_rounded() -> None:
    found = shrinking(factor=1.5).shrunk(torch.ones(2, 4, 7, 11), at(3, 5.0))
    assert found.shape[-2:] == (5, 7)
