from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from comfykit.sampling.conditioning import Area, Cond
from comfykit.sampling.denoiser import Evaluation
from comfykit.sampling.guidance import NEGATIVE, GuidanceInputs, GuidanceRules, GuidedDenoiser

X = torch.zeros(2, 4, 8, 16)
SIGMA = torch.full((2,), 3.0)


class Toy:
    """Predicts the mean of each row's context everywhere, plus x; remembers the shapes it was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[torch.Size, torch.Size]] = []

    def __call__(self, call: Evaluation) -> Tensor:
        x, sigma, context, extra = call.x, call.sigma, call.context, call.extra
        assert x.shape[0] % len(call.sides) == 0
        assert sigma.shape == (x.shape[0],) == (context.shape[0],)
        assert all(value.shape[0] == x.shape[0] for value in extra.values())
        self.calls.append((x.shape, context.shape))
        shift = sum((value.flatten(1).mean(1) for value in extra.values()), torch.zeros(x.shape[0]))
        return x + (context.mean(dim=(1, 2)) + shift).reshape(-1, 1, 1, 1)


def says(value: float, tokens: int = 77, **fields: Any) -> Cond:
    return Cond(torch.full((1, tokens, 8), value), **fields)


def guided(toy: Toy, positive: list[Cond], negative: list[Cond], cfg: float = 1.0, **options: Any) -> Tensor:
    return GuidedDenoiser(toy, positive, negative, cfg, **options)(X, SIGMA)


def test_classifier_free_guidance_in_one_call() -> None:
    toy = Toy()
    assert guided(toy, [says(2.0)], [says(1.0)], 7.0).unique().tolist() == [8.0]
    assert [x[0] for x, _ in toy.calls] == [4]


def test_cfg_one_leaves_the_negative_side_out() -> None:
    toy = Toy()
    assert guided(toy, [says(2.0)], [says(1.0)]).unique().tolist() == [2.0]
    assert [x[0] for x, _ in toy.calls] == [2]


def test_cfg_one_can_be_made_to_evaluate_both_sides() -> None:
    seen: list[GuidanceInputs] = []

    def combine(inputs: GuidanceInputs) -> Tensor:
        seen.append(inputs)
        return inputs.positive - inputs.negative

    found = guided(
        Toy(), [says(2.0)], [says(1.5)], 1.0, rules=GuidanceRules(combine=combine, always_negative=True)
    )
    assert found.unique().tolist() == [0.5]
    assert seen[0].x is X
    assert seen[0].sigma is SIGMA


def test_conditionings_of_one_side_are_averaged_by_strength() -> None:
    found = guided(Toy(), [says(1.0, strength=3.0), says(5.0, strength=1.0)], [])
    assert found.unique().tolist() == [2.0]


def test_a_side_without_conditionings_predicts_zero() -> None:
    assert guided(Toy(), [says(2.0)], [], 3.0).unique().tolist() == [6.0]
    assert guided(Toy(), [says(2.0, strength=0.0)], []).unique().tolist() == [0.0]


def test_an_area_counts_where_it_lies() -> None:
    found = guided(Toy(), [says(3.0, area=Area((8, 8), (0, 0))), says(1.0)], [])
    assert found[0, 0, 0].tolist() == pytest.approx([2.0] * 6 + [2.0, 1 + 2 * 0.5 / 1.5] + [1.0] * 8)


def test_where_nothing_counts_the_prediction_is_zero() -> None:
    found = guided(Toy(), [says(3.0, area=Area((8, 8), (0, 8)))], [])
    assert found[0, 0, 0, :8].tolist() == [0.0] * 8
    assert found[0, 0, 0, 8:].tolist() == pytest.approx([3.0] * 8)


def test_guidance_in_an_area_compares_predictions_for_that_area() -> None:
    toy = Toy()
    guided(toy, [says(3.0, area=Area((8, 8), (0, 0))), says(1.0)], [says(0.0)], 2.0)
    # Two for the area and two for the whole, each side once.
    assert [x for x, _ in toy.calls] == [torch.Size((4, 4, 8, 8)), torch.Size((4, 4, 8, 16))]


def test_a_mask_weighs_by_place() -> None:
    mask = torch.zeros(1, 8, 16)
    mask[..., :4] = 1.0
    found = guided(Toy(), [says(3.0, mask=mask), says(1.0)], [])
    assert found[0, 0, 0].tolist() == pytest.approx([2.0] * 4 + [1.0] * 12)


def test_a_conditioning_is_skipped_outside_its_levels() -> None:
    toy = Toy()
    early, late = says(1.0, end_sigma=2.0), says(5.0, start_sigma=2.0)
    denoiser = GuidedDenoiser(toy, [early, late], [], 1.0)
    for sigma, expected in ((3.0, 1.0), (2.0, 3.0), (1.0, 5.0), (3.0, 1.0)):
        assert denoiser(X, torch.full((2,), sigma)).unique().tolist() == [expected]
    assert [x[0] for x, _ in toy.calls] == [2, 4, 2, 2]


def test_prompts_of_other_lengths_are_repeated_to_run_together() -> None:
    toy = Toy()
    assert guided(toy, [says(2.0, tokens=154)], [says(1.0, tokens=231)], 3.0).unique().tolist() == [4.0]
    assert [context for _, context in toy.calls] == [torch.Size((4, 462, 8))]


def test_prompts_whose_lengths_hardly_divide_run_apart() -> None:
    toy = Toy()
    guided(toy, [says(2.0, tokens=77 * 5)], [says(1.0)], 3.0)
    assert [context[1] for _, context in toy.calls] == [385, 77]


def test_rows_may_be_limited() -> None:
    toy = Toy()
    assert guided(toy, [says(2.0)], [says(1.0)], 7.0, max_rows=3).unique().tolist() == [8.0]
    assert [x[0] for x, _ in toy.calls] == [2, 2]
    toy = Toy()
    guided(toy, [says(2.0)], [says(1.0)], 7.0, max_rows=1)
    assert [x[0] for x, _ in toy.calls] == [2, 2]


def test_further_inputs_reach_the_network_beside_their_conditioning() -> None:
    positive = says(0.0, model_inputs={"y": torch.full((1, 6), 4.0)})
    negative = says(0.0, model_inputs={"y": torch.full((1, 6), 1.0)})
    assert guided(Toy(), [positive], [negative], 2.0).unique().tolist() == [7.0]


def test_conditionings_with_other_inputs_run_apart() -> None:
    toy = Toy()
    positive = says(0.0, model_inputs={"y": torch.full((1, 6), 4.0)})
    assert guided(toy, [positive], [says(1.0)], 2.0).unique().tolist() == [7.0]
    assert len(toy.calls) == 2


def test_each_row_keeps_its_own_embedding() -> None:
    embedding = torch.stack([torch.full((77, 8), 1.0), torch.full((77, 8), 2.0)])
    found = guided(Toy(), [Cond(embedding)], [says(0.0)], 2.0)
    assert found[:, 0, 0, 0].tolist() == [2.0, 4.0]


def test_latents_of_another_size_are_fitted_anew() -> None:
    denoiser = GuidedDenoiser(Toy(), [says(3.0, mask=torch.ones(1, 64, 64))], [], 1.0)
    for side in (4, 8):
        assert denoiser(torch.zeros(1, 4, side, side), SIGMA[:1]).shape == (1, 4, side, side)


def test_rules_change_predictions_combine_them_and_change_the_result() -> None:
    rules = (
        GuidanceRules()
        .first(lambda inputs: replace(inputs, positive=inputs.positive + 1))
        .combined_by(lambda inputs: inputs.positive * 10 + inputs.negative)
        .then(lambda guided, inputs: guided + inputs.cfg)
    )
    assert guided(Toy(), [says(2.0)], [says(1.0)], 7.0, rules=rules).unique().tolist() == [38.0]


def test_a_rule_may_ask_for_a_further_prediction() -> None:
    changes: list[object] = []

    class Watching(Toy):
        def __call__(self, call: Evaluation) -> Tensor:
            changes.append(call.change and call.change("hooks"))
            return super().__call__(call)

    def after(result: Tensor, inputs: GuidanceInputs) -> Tensor:
        other = inputs.evaluate(NEGATIVE, inputs.x + 5, lambda hooks: f"other {hooks}")
        return result + other

    rules = GuidanceRules().then(after)
    assert guided(Watching(), [says(2.0)], [says(1.0)], rules=rules).unique().tolist() == [8.0]
    assert changes == [None, "other hooks"]


def test_both_sides_are_told_whatever_cfg_is() -> None:
    denoiser = GuidedDenoiser(Toy(), [says(2.0)], [says(1.0)], 1.0)
    found, negative = denoiser.both(X, SIGMA)
    assert (found.unique().tolist(), negative.unique().tolist()) == ([2.0], [1.0])


def test_calls_say_which_sides_they_are_for() -> None:
    seen: list[tuple[int, ...]] = []

    class Watching(Toy):
        def __call__(self, call: Evaluation) -> Tensor:
            seen.append(call.sides)
            return super().__call__(call)

    guided(Watching(), [says(2.0), says(3.0)], [says(1.0)], 2.0)
    assert seen == [(0, 0, 1)]


def test_conditionings_with_other_controls_are_called_apart() -> None:
    toy = Toy()
    guided(toy, [says(2.0, controls=("depth",))], [says(1.0)], 2.0)
    assert [x[0] for x, _ in toy.calls] == [2, 2]
