from __future__ import annotations

import pytest
import torch
from torch import Tensor

from comfykit.models.attention import attention
from comfykit.models.hooks import AttentionInfo
from comfykit.models.unet_hooks.hypertile import HyperTile, drawn_division, in_tiles, out_of_tiles


def info(size: tuple[int, int], latent: tuple[int, int]) -> AttentionInfo:
    return AttentionInfo(torch.zeros(2), (0,), latent, size=size)


def tokens(height: int, width: int) -> Tensor:
    return torch.randn(2, height * width, 8, generator=torch.Generator().manual_seed(0))


def test_tiles_are_parts_of_the_picture_and_go_together_again() -> None:
    grid = torch.arange(24).reshape(1, 24, 1)
    tiles = in_tiles(grid, (4, 6), 2, 3)
    assert tiles[..., 0].tolist() == [
        *[[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]],
        *[[12, 13, 18, 19], [14, 15, 20, 21], [16, 17, 22, 23]],
    ]
    assert torch.equal(out_of_tiles(tiles, (4, 6), 2, 3), grid)


def test_attention_stays_within_a_tile() -> None:
    x = tokens(8, 12)
    tiling = HyperTile(tile_size=32, swap_size=1, max_depth=0, scale_depth=False)
    where = info((8, 12), (8, 12))
    q, k, v = tiling.cut(x, x, x, where)
    assert q.shape == (2 * 2 * 3, 16, 8)
    found = tiling.joined(attention(q, k, v, 2), where).reshape(2, 8, 12, 8)
    corner = x.reshape(2, 8, 12, 8)[:, 4:, 4:8].reshape(2, 16, 8)
    expected = attention(corner, corner, corner, 2).reshape(2, 4, 4, 8)
    torch.testing.assert_close(found[:, 4:, 4:8], expected)


@pytest.mark.parametrize(
    ("side", "smallest", "options", "counts"),
    [
        (16, 4, 1, {4}),
        (16, 4, 2, {4, 2}),
        (16, 4, 9, {4, 2, 1}),
        (12, 5, 1, {2}),
        (3, 8, 2, {1}),
        (7, 2, 1, {1}),
    ],
)
def test_sides_are_divided_in_equal_parts_that_are_long_enough(
    side: int, smallest: int, options: int, counts: set[int]
) -> None:
    torch.manual_seed(0)
    assert {drawn_division(side, smallest, options) for _ in range(60)} == counts


def test_nothing_is_drawn_without_a_choice() -> None:
    state = torch.get_rng_state()
    drawn_division(16, 4, 1)
    drawn_division(3, 8, 2)
    assert torch.equal(torch.get_rng_state(), state)


def test_levels_deeper_than_asked_for_stay_and_deeper_tiles_may_be_larger() -> None:
    x = tokens(8, 8)
    deeper = info((8, 8), (16, 16))
    flat = HyperTile(32, 1, 0, False)
    assert flat.cut(x, x, x, deeper)[0] is x
    assert flat.joined(x, deeper) is x
    assert HyperTile(32, 1, 1, False).cut(x, x, x, deeper)[0].shape == (8, 16, 8)
    assert HyperTile(32, 1, 1, True).cut(x, x, x, deeper)[0] is x


def test_tokens_that_were_merged_are_not_cut() -> None:
    x = tokens(8, 8)
    short = x[:, :50]
    assert HyperTile(32, 1, 0, False).cut(short, x, x, info((8, 8), (8, 8)))[0] is short
