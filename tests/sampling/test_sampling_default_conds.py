from __future__ import annotations

import torch
from torch import Tensor

from comfykit.sampling.conditioning import Area, Cond
from comfykit.sampling.denoiser import Evaluation
from comfykit.sampling.sides import Sides

X = torch.zeros(1, 4, 8, 8)
CPU = torch.device("cpu")


class Says:
    """Predicts the number that a conditioning's embedding is filled with."""

    def __init__(self) -> None:
        self.calls: list[Evaluation] = []

    def __call__(self, call: Evaluation) -> Tensor:
        self.calls.append(call)
        return call.context[:, :1, :1, None].expand_as(call.x)


def cond(value: float, **fields: object) -> Cond:
    return Cond(torch.full((1, 3, 2), value), **fields)  # type: ignore[arg-type]


def left(strength: float = 1.0) -> Tensor:
    mask = torch.zeros(1, 8, 8)
    mask[..., :4] = strength
    return mask


def predicted(*side: Cond, sigma: float = 1.0) -> tuple[Tensor, Says]:
    says = Says()
    (found,) = Sides(says, (side,))(X, torch.tensor([sigma]))
    return found, says


def test_a_default_counts_where_masks_are_black() -> None:
    found, _ = predicted(cond(1.0, mask=left(0.25)), cond(2.0, default=True))
    assert found[0, 0, 0].tolist() == [1, 1, 1, 1, 2, 2, 2, 2]


def test_areas_cover_what_lies_in_them() -> None:
    found, _ = predicted(cond(1.0, area=Area((8, 6), (0, 0))), cond(2.0, default=True))
    assert found[0, 0, 0].tolist() == [1, 1, 1, 1, 1, 1, 2, 2]


def test_a_default_costs_nothing_where_all_is_covered() -> None:
    found, says = predicted(cond(1.0, mask=left()), cond(3.0), cond(2.0, default=True))
    assert found[0, 0, 0].tolist() == [2, 2, 2, 2, 3, 3, 3, 3]
    assert sum(len(call.sides) for call in says.calls) == 2


def test_a_default_alone_counts_everywhere() -> None:
    found, _ = predicted(cond(2.0, default=True))
    assert bool((found == 2.0).all())
    late = cond(1.0, start_sigma=0.5)
    assert bool((predicted(late, cond(2.0, default=True), sigma=1.0)[0] == 2.0).all())
    assert bool((predicted(late, cond(2.0, default=True), sigma=0.4)[0] == 1.0).all())


def test_several_defaults_share_what_is_left_by_their_weights() -> None:
    found, _ = predicted(
        cond(1.0, mask=left()), cond(2.0, default=True), cond(5.0, strength=2.0, default=True)
    )
    assert found[0, 0, 0].tolist() == [1, 1, 1, 1, 4, 4, 4, 4]


def test_conditionings_with_other_hooks_have_calls_of_their_own_in_turn() -> None:
    says, sigma = Says(), torch.ones(1)
    sides = Sides(says, ([cond(1.0, weight_hooks=("a",)), cond(2.0)], [cond(3.0, weight_hooks=("a",))]))
    first = sides(X, sigma)
    assert [call.weight_hooks for call in says.calls] == [(), ("a",)]
    assert [len(call.sides) for call in says.calls] == [1, 2]
    assert [float(one.mean()) for one in first] == [1.5, 3.0]
    sides(X, sigma)
    assert [call.weight_hooks for call in says.calls[2:]] == [("a",), ()]
