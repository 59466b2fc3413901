"""Residuals of ControlNets in the U-Net."""

from __future__ import annotations

import torch
from torch import Tensor

from comfykit.models.control import ControlResiduals
from comfykit.models.unet import UNet, UNetConfig

CONFIG = UNetConfig(model_channels=32, context_dim=24)


def network() -> UNet:
    torch.manual_seed(0)
    return UNet(CONFIG).eval().requires_grad_(False)


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(1, 4, 8, 8), torch.tensor([500.0]), torch.randn(1, 7, 24)


def features(unet: UNet) -> tuple[list[Tensor], Tensor]:
    """What the input blocks and the middle block give."""
    found: list[Tensor] = []
    blocks = [*unet.input_blocks, unet.middle_block]
    handles = [block.register_forward_hook(lambda _m, _i, out: found.append(out)) for block in blocks]
    unet(*inputs())
    for handle in handles:
        handle.remove()
    return found[:-1], found[-1]


def test_residuals_that_cancel_the_way_down_leave_what_zeros_would() -> None:
    """The i-th residual goes to the i-th skip connection, the middle one to the middle block's result."""
    unet = network()
    skips, middle = features(unet)
    cancelled = unet(*inputs(), control=ControlResiduals(tuple(-skip for skip in skips), -middle))
    for module in (*unet.input_blocks, unet.middle_block):
        module.register_forward_hook(lambda _m, _i, out: torch.zeros_like(out))
    torch.testing.assert_close(cancelled, unet(*inputs()), rtol=0, atol=0)


def test_nothing_is_added_where_there_is_none() -> None:
    unet = network()
    plain = unet(*inputs())
    assert torch.equal(unet(*inputs(), control=ControlResiduals()), plain)
    assert torch.equal(unet(*inputs(), control=ControlResiduals((None, None))), plain)


def test_plus_adds_place_by_place() -> None:
    one, two = torch.ones(2), torch.full((2,), 2.0)
    both = ControlResiduals((one, None, None), one).plus(ControlResiduals((two, two), None))
    assert [None if value is None else value.tolist() for value in both.output] == [[3, 3], [2, 2], None]
    assert both.middle is one


def test_what_is_added_on_the_way_down_goes_on_and_into_the_skip_connection() -> None:
    unet = network()
    residual = torch.randn(1, 64, 4, 4)
    found = unet(*inputs(), control=ControlResiduals(input=(None,) * 4 + (residual,)))
    unet.input_blocks[4].register_forward_hook(lambda _m, _i, out: out + residual)
    torch.testing.assert_close(found, unet(*inputs()), rtol=0, atol=0)


def test_residuals_are_changed_everywhere() -> None:
    one = torch.ones(2)
    doubled = ControlResiduals((one, None), one, (None, one)).map(lambda residual: 2 * residual)
    assert [None if value is None else value.tolist() for value in doubled.output] == [[2, 2], None]
    assert [None if value is None else value.tolist() for value in doubled.input] == [None, [2, 2]]
    assert doubled.middle is not None
    assert doubled.middle.tolist() == [2, 2]
