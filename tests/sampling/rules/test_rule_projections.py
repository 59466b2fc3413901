from __future__ import annotations

from dataclasses import replace

import torch
from rules_support import Make

from comfykit.sampling.guidance import GuidanceInputs, GuidanceRules, classifier_free
from comfykit.sampling.rules.projections import (
    adaptive_projected,
    inner,
    perpendicular_negative,
    tangential,
    zero_star,
)


def projected(inputs: GuidanceInputs, eta: float, threshold: float, momentum: float = 0.0) -> GuidanceInputs:
    return adaptive_projected(inputs, eta=eta, norm_threshold=threshold, momentum=momentum, key="apg")


def test_apg_is_the_formula(make: Make) -> None:
    inputs = make()
    found = classifier_free(projected(inputs, 0.3, 5.0))
    for row in range(2):
        c, u = inputs.positive[row].flatten(), inputs.negative[row].flatten()
        difference = c - u
        difference = difference * min(1.0, 5.0 / float(difference.norm()))
        parallel = (difference @ c) / (c @ c) * c
        expected = c + 7.0 * (difference - parallel + 0.3 * parallel)
        torch.testing.assert_close(found[row].flatten(), expected)


def test_apg_that_takes_nothing_away_adds_the_whole_difference(make: Make) -> None:
    inputs = make()
    expected = inputs.positive + inputs.cfg * (inputs.positive - inputs.negative)
    torch.testing.assert_close(classifier_free(projected(inputs, 1.0, 0.0)), expected)


def test_apg_remembers_the_steps_before(make: Make) -> None:
    memory: dict[object, object] = {}
    first, second = make(memory=memory), make(memory=memory, negative=make().x)
    projected(first, 1.0, 0.0, momentum=-0.5)
    found = projected(second, 1.0, 0.0, momentum=-0.5)
    difference = second.positive - second.negative - 0.5 * (first.positive - first.negative)
    expected = second.positive + 7.0 * difference
    torch.testing.assert_close(classifier_free(found), expected)
    other_run = projected(make(negative=make().x), 1.0, 0.0, momentum=-0.5)
    assert not torch.allclose(found.positive, other_run.positive)


def test_apg_and_tcfg_do_nothing_without_a_negative_side(make: Make) -> None:
    inputs = make(has_negative=False, negative=torch.zeros(2, 4, 12, 16), cfg=1.0)
    assert projected(inputs, 0.0, 1.0) is inputs
    assert tangential(inputs) is inputs
    unguided = make(cfg=0.0)
    assert projected(unguided, 0.0, 1.0) is unguided


def test_tcfg_leaves_noises_of_one_direction_alone(make: Make) -> None:
    inputs = make()
    same = replace(inputs, negative=inputs.x - 0.5 * (inputs.x - inputs.positive))
    torch.testing.assert_close(tangential(same).negative, same.negative, rtol=1e-5, atol=1e-5)


def test_tcfg_projects_onto_the_direction_nearest_to_both_noises(make: Make) -> None:
    inputs = make()
    found = inputs.x - tangential(inputs).negative
    noises = [inputs.x - inputs.positive, inputs.x - inputs.negative]
    for row in range(2):
        both = torch.stack([noise[row].flatten() for noise in noises])
        _, vectors = torch.linalg.eigh(both.T @ both)
        common = vectors[:, -1]
        expected = (both[1] @ common) * common
        torch.testing.assert_close(found[row].flatten(), expected, rtol=1e-4, atol=1e-4)
    assert tangential(inputs).positive is inputs.positive


def test_zero_star_is_the_formula(make: Make) -> None:
    inputs = make()
    found = zero_star(classifier_free(inputs), inputs)
    c, u = inputs.x - inputs.positive, inputs.x - inputs.negative
    best = (inner(c, u) / inner(u, u)).reshape(2, 1, 1, 1)
    base = best * inputs.negative
    torch.testing.assert_close(found, base + 7.0 * (inputs.positive - base))


def test_perp_neg_ignores_what_the_negative_prompt_shares_with_the_positive_one(make: Make) -> None:
    inputs = make()
    base = inputs.further[0]
    parallel = replace(inputs, negative=base + 0.4 * (inputs.positive - base))
    expected = base + 7.0 * (inputs.positive - base)
    torch.testing.assert_close(perpendicular_negative(parallel, neg_scale=2.0, empty=0), expected)
    found = perpendicular_negative(inputs, neg_scale=2.0, empty=0)
    e, c, u = (part.flatten() for part in (base, inputs.positive, inputs.negative))
    across = (u - e) - ((u - e) @ (c - e)) / ((c - e) @ (c - e)) * (c - e)
    torch.testing.assert_close(found.flatten(), e + 7.0 * ((c - e) - 2.0 * across))


def test_rules_work_in_the_order_they_were_added(make: Make) -> None:
    inputs = make()
    rules = GuidanceRules().then(zero_star).then(lambda guided, inputs: 2 * guided)
    guided, negative = rules.apply(inputs)
    torch.testing.assert_close(guided, 2 * zero_star(classifier_free(inputs), inputs))
    assert negative is inputs.negative
