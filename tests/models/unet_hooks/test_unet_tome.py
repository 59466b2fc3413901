from __future__ import annotations

import pytest
import torch
from torch import Tensor

from comfykit.models.hooks import NO_HOOKS, AttentionInfo
from comfykit.models.unet_hooks.tome import TokenMerging, drawn_split, match_tokens, merged, unmerged


def tokens(height: int, width: int, rows: int = 2) -> Tensor:
    return torch.randn(rows, height * width, 8, generator=torch.Generator().manual_seed(0))


def info(size: tuple[int, int], latent: tuple[int, int]) -> AttentionInfo:
    return AttentionInfo(torch.zeros(2), (0,), latent, size=size)


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (2, 9)])
def test_one_token_of_each_square_is_merged_into(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    into, rest = drawn_split(size)
    assert sorted([*into.tolist(), *rest.tolist()]) == list(range(size[0] * size[1]))
    squares = {(place // size[1] // 2, place % size[1] // 2) for place in into.tolist()}
    assert len(squares) == len(into) == (size[0] // 2) * (size[1] // 2)


def test_the_split_is_drawn_from_the_global_generator() -> None:
    torch.manual_seed(5)
    first = drawn_split((8, 8))[0]
    assert not torch.equal(drawn_split((8, 8))[0], first)
    torch.manual_seed(5)
    assert torch.equal(drawn_split((8, 8))[0], first)


def test_a_token_is_merged_into_the_one_it_is_most_like() -> None:
    """Tokens that are the same as their square's others go into it, and come back as they were."""
    squares = torch.randn(1, 4, 8, generator=torch.Generator().manual_seed(0)).reshape(1, 2, 2, 8)
    x = squares.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2).reshape(1, 16, 8)
    matching = match_tokens(x, (4, 4), 12)
    short = merged(x, matching)
    assert short.shape == (1, 4, 8)
    torch.testing.assert_close(unmerged(short, matching), x)


def test_what_is_merged_becomes_the_mean_and_the_rest_stays() -> None:
    x = tokens(4, 6)
    matching = match_tokens(x, (4, 6), 7)
    short = merged(x, matching)
    assert short.shape == (2, 24 - 7, 8)
    back = unmerged(short, matching)
    for row in range(2):
        torch.testing.assert_close(back[row, matching.kept[row]], x[row, matching.kept[row]])
        places = matching.places[row]
        for number, token in enumerate(matching.into[row].tolist()):
            members = [token, *matching.merged[row][places == number].tolist()]
            torch.testing.assert_close(back[row, token], x[row, members].mean(dim=0))


def test_only_attention_at_the_full_size_is_touched() -> None:
    x = tokens(4, 4)
    merging = TokenMerging(0.5)
    q, k, v = merging.merge(x, x, x, info((4, 4), (4, 4)))
    assert q.shape == (2, 8, 8)
    assert k is x
    assert v is x
    assert merging.unmerge(q, info((4, 4), (4, 4))).shape == x.shape
    q, _, _ = merging.merge(x, x, x, info((4, 4), (8, 8)))
    assert q is x
    assert merging.unmerge(q, info((4, 4), (8, 8))) is x


def test_nothing_is_drawn_where_nothing_is_merged() -> None:
    state = torch.get_rng_state()
    x = tokens(4, 4)
    TokenMerging(0.0).merge(x, x, x, info((4, 4), (4, 4)))
    assert torch.equal(torch.get_rng_state(), state)
    assert NO_HOOKS.attn1.inputs == ()
