from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from comfykit.families.tiled_vae import Tiling


def doubled(part: Tensor) -> Tensor:
    return F.interpolate(part, scale_factor=2, mode="nearest")


@pytest.mark.parametrize(
    ("height", "width", "tiling"),
    [(8, 8, Tiling(8, 2)), (30, 45, Tiling(8, 2)), (17, 9, Tiling(8, 0)), (5, 70, Tiling(16, 4))],
)
def test_what_looks_at_single_pixels_does_not_see_the_tiles(height: int, width: int, tiling: Tiling) -> None:
    picture = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    counted = []
    made = tiling.apply(picture, doubled, 2, lambda: counted.append(1))
    torch.testing.assert_close(made, doubled(picture))
    assert len(counted) == tiling.count(height, width)


def test_shrinking() -> None:
    picture = torch.randn(1, 3, 64, 40, generator=torch.Generator().manual_seed(0))
    made = Tiling(32, 8).apply(picture, lambda part: F.avg_pool2d(part, 8), 1 / 8, lambda: None)
    torch.testing.assert_close(made, F.avg_pool2d(picture, 8))


def test_three_ways_of_laying_tiles_are_averaged() -> None:
    seen: list[tuple[int, ...]] = []

    def flat(part: Tensor) -> Tensor:
        seen.append(tuple(part.shape[-2:]))
        return torch.full_like(part, float(part.shape[-1]))

    made = Tiling(8, 0).apply(torch.zeros(1, 1, 16, 16), flat, 1, lambda: None)
    assert set(seen) == {(8, 8), (16, 4), (4, 16)}
    torch.testing.assert_close(made, torch.full_like(made, (8 + 4 + 16) / 3))


def test_tiles_fade_into_one_another() -> None:
    numbers = iter(range(100))
    made = Tiling(8, 2).apply(
        torch.zeros(1, 1, 4, 12), lambda part: torch.full_like(part, next(numbers) % 2), 1, lambda: None
    )
    row = made[0, 0, 0]
    assert bool((row[1:] >= 0).all() and (row[1:] <= 1).all())
    assert len(set(row.tolist())) > 3


def test_a_whole_picture_in_one_tile_is_what_it_is_without() -> None:
    picture = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    made = Tiling(8, 2).apply(picture, lambda part: part - part.mean(), 1, lambda: None)
    torch.testing.assert_close(made, picture - picture.mean())
