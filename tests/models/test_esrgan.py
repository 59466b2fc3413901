from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from comfykit.models.esrgan import RRDBNet, RRDBNetConfig


def network(config: RRDBNetConfig) -> RRDBNet:
    torch.manual_seed(0)
    return RRDBNet(config).eval()


def conv(weights: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)


def lrelu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def written_out(weights: Mapping[str, Tensor], x: Tensor, blocks: int) -> Tensor:
    """Figures 3 and 4 of the paper, block by block."""
    first = conv(weights, "conv_first", x)
    trunk = first
    for block in range(blocks):
        entered = trunk
        for dense in ("rdb1", "rdb2", "rdb3"):
            seen = [trunk]
            for number in range(1, 5):
                name = f"body.{block}.{dense}.conv{number}"
                seen.append(lrelu(conv(weights, name, torch.cat(seen, 1))))
            trunk = trunk + 0.2 * conv(weights, f"body.{block}.{dense}.conv5", torch.cat(seen, 1))
        trunk = entered + 0.2 * trunk
    x = first + conv(weights, "conv_body", trunk)
    for name in ("conv_up1", "conv_up2"):
        doubled = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        x = lrelu(conv(weights, name, doubled))
    return conv(weights, "conv_last", lrelu(conv(weights, "conv_hr", x)))


@torch.inference_mode()
def test_it_is_the_network_of_the_paper() -> None:
    made = network(RRDBNetConfig(width=8, growth=4, blocks=2))
    x = torch.rand(2, 3, 5, 7)
    expected = written_out(made.state_dict(), x, 2)
    assert expected.shape == (2, 3, 20, 28)
    torch.testing.assert_close(made(x), expected)


@pytest.mark.parametrize(
    ("doublings", "unshuffle", "scale"), [(0, 1, 1), (1, 1, 2), (3, 1, 8), (2, 2, 2), (2, 4, 1)]
)
@torch.inference_mode()
def test_scales(doublings: int, unshuffle: int, scale: int) -> None:
    config = RRDBNetConfig(width=8, growth=4, blocks=1, doublings=doublings, unshuffle=unshuffle)
    assert config.scale == scale
    for size in ((8, 12), (5, 7), (1, 1)):
        made = network(config)(torch.rand(1, 3, *size))
        assert made.shape == (1, 3, size[0] * scale, size[1] * scale)


@torch.inference_mode()
def test_folding_pixels_is_the_inverse_of_unfolding_them() -> None:
    config = RRDBNetConfig(width=12, growth=4, blocks=1, unshuffle=2)
    folded = network(config)._folded(x := torch.rand(1, 3, 6, 8))
    assert folded.shape == (1, 12, 3, 4)
    assert torch.equal(F.pixel_shuffle(folded, 2), x)
