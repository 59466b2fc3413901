from __future__ import annotations

import pytest
import torch
from torch import Tensor

from comfykit.models.hooks import BlockInfo
from comfykit.models.unet_hooks.freeu import FreeU, low_frequencies_scaled, normalized_mean

INFO = BlockInfo(torch.zeros(2), (0,), (8, 8), kind="output")


def features(channels: int = 64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, channels, 6, 8, generator=generator), torch.randn(2, 16, 6, 8, generator=generator)


def test_half_of_the_channels_is_scaled() -> None:
    h, skip = features()
    found, connection = FreeU({64: (1.5, 1.0)})(h, skip, INFO)
    torch.testing.assert_close(found, torch.cat((1.5 * h[:, :32], h[:, 32:]), dim=1))
    torch.testing.assert_close(connection, skip, rtol=1e-5, atol=1e-5)


def test_other_widths_are_left_alone() -> None:
    h, skip = features(32)
    found, connection = FreeU({64: (1.5, 0.2)})(h, skip, INFO)
    assert found is h
    assert connection is skip


def test_by_place_the_scale_goes_from_one_to_the_factor() -> None:
    h, skip = features()
    found, _ = FreeU({64: (1.5, 1.0)}, by_place=True)(h, skip, INFO)
    scale = (found[:, :32] / h[:, :32]).flatten(2).median(dim=1).values
    torch.testing.assert_close(scale.amin(dim=1), torch.ones(2))
    torch.testing.assert_close(scale.amax(dim=1), torch.full((2,), 1.5))
    assert normalized_mean(torch.ones(1, 4, 2, 2)).tolist() == [[[[0.0, 0.0], [0.0, 0.0]]]]


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 8)])
def test_the_mean_is_a_low_frequency_and_a_fast_wave_is_not(size: tuple[int, int]) -> None:
    flat = torch.full((1, 1, *size), 2.0)
    torch.testing.assert_close(low_frequencies_scaled(flat, 0.25), 0.25 * flat)
    wave = torch.cos(torch.arange(16) * (2 * torch.pi * 5 / 16)).expand(1, 1, 16, 16)
    torch.testing.assert_close(low_frequencies_scaled(wave, 0.25), wave, rtol=1e-4, atol=1e-5)


def test_half_precision_stays() -> None:
    h, skip = (part.to(torch.bfloat16) for part in features())
    found, connection = FreeU({64: (1.5, 0.2)}, by_place=True)(h, skip, INFO)
    assert found.dtype == connection.dtype == torch.bfloat16
