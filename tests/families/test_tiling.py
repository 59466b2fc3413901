from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from comfykit.families.tiling import count_tiles, tile_origins, tiled


@pytest.mark.parametrize("size", [1, 8, 9, 13, 30, 31])
def test_tiles_cover_a_side_and_overlap(size: int) -> None:
    origins = tile_origins(size, 8, 3)
    assert origins[0] == 0
    assert origins[-1] + 8 >= size
    assert all(after - before == 5 for before, after in itertools.pairwise(origins))
    assert size <= 8 or size - origins[-1] > 3  # the last one is more than an overlap


@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_what_looks_at_single_pixels_does_not_see_tiles(scale: float) -> None:
    picture = torch.rand(1, 3, 26, 38)
    told: list[int] = []
    shapes: list[tuple[int, ...]] = []

    def enlarge(part: Tensor) -> Tensor:
        shapes.append(tuple(part.shape[-2:]))
        return F.interpolate(part, scale_factor=scale, mode="nearest")

    made = tiled(picture, enlarge, scale, 16, 4, lambda: told.append(1))
    torch.testing.assert_close(made, F.interpolate(picture, scale_factor=scale, mode="nearest"))
    assert len(told) == count_tiles(26, 38, 16, 4) == len(shapes)
    assert max(shapes) <= (16, 16)


def test_tiles_fade_into_one_another() -> None:
    """Tiles of 0, 1, ... side by side give a staircase of straight ramps."""
    numbers = iter(range(9))
    made = tiled(
        torch.zeros(1, 1, 8, 28), lambda part: torch.full_like(part, next(numbers)), 1, 16, 4, lambda: None
    )
    row = made[0, 0, 4]
    assert row[:12].eq(0).all()
    assert row[16:].eq(1).all()
    torch.testing.assert_close(row[12:16], torch.tensor([1.0, 2.0, 3.0, 4.0]) / 5)
