from __future__ import annotations

from typing import Any

import pytest
import torch
from rules_support import Make
from torch import Tensor

from comfykit.sampling.guidance import NEGATIVE, POSITIVE
from comfykit.sampling.rules.perturbed import gaussian_blur, perturbed, self_attention

KEY = object()


def test_pag_guides_away_from_the_changed_network(make: Make) -> None:
    asked: list[tuple[int, Any, Any]] = []

    def evaluate(side: int, x: Tensor | None = None, change: Any = None) -> Tensor:
        asked.append((side, x, change))
        return torch.ones(2, 4, 12, 16, dtype=torch.float64)

    inputs = make(evaluate=evaluate)
    found = perturbed(inputs.x, inputs, scale=3.0, change=len)
    torch.testing.assert_close(found, inputs.x + 3.0 * (inputs.positive - 1.0))
    assert asked == [(POSITIVE, None, len)]


def test_pag_of_scale_zero_asks_for_nothing(make: Make) -> None:
    inputs = make()
    assert perturbed(inputs.x, inputs, scale=0.0, change=len) is inputs.x


def test_sag_blurs_what_is_attended_to_and_denoises_it_again(make: Make) -> None:
    seen: list[Tensor] = []

    def evaluate(side: int, x: Tensor | None = None, change: Any = None) -> Tensor:
        assert side == NEGATIVE
        assert x is not None
        seen.append(x)
        return torch.zeros_like(x)

    # Both tokens of the upper half attend, as all do, to the upper left one.
    maps = torch.zeros(2, 3, 4, 4)
    maps[..., 0] = 1.0
    memory = {KEY: {(12, 16): (maps, (2, 2))}}
    inputs = make(evaluate=evaluate, memory=memory)
    found = self_attention(inputs.x, inputs, scale=0.5, blur_sigma=2.0, key=KEY)
    blurred = inputs.negative.clone()
    blurred[..., :6, :8] = gaussian_blur(inputs.negative, 2.0)[..., :6, :8]
    torch.testing.assert_close(seen[0], blurred + inputs.x - inputs.negative)
    torch.testing.assert_close(found, inputs.x + 0.5 * blurred)
    assert not memory, "a map is for one step"


@pytest.mark.parametrize(
    "changes",
    [
        {"memory": {}},
        {"memory": {KEY: {(6, 6): (torch.ones(2, 1, 4, 4), (2, 2))}}},
        {"memory": {KEY: {(12, 16): (torch.ones(2, 1, 4, 4), (2, 2))}}, "has_negative": False},
    ],
)
def test_sag_leaves_what_it_has_no_map_for(make: Make, changes: dict[str, Any]) -> None:
    inputs = make(**changes)
    assert self_attention(inputs.x, inputs, scale=1.0, blur_sigma=2.0, key=KEY) is inputs.x


def test_blur_keeps_the_mean_of_what_is_flat_and_spreads_a_point() -> None:
    flat = torch.full((1, 2, 9, 9), 3.0)
    torch.testing.assert_close(gaussian_blur(flat, 2.0), flat)
    point = torch.zeros(1, 1, 19, 19)
    point[..., 9, 9] = 1.0
    found = gaussian_blur(point, 1.5)[0, 0]
    assert float(found.sum()) == pytest.approx(1.0)
    assert float(found[9, 9] / found[9, 11]) == pytest.approx(float(torch.tensor(0.5 * (2 / 1.5) ** 2).exp()))
    assert gaussian_blur(point, 0.0) is point
