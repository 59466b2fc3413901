from __future__ import annotations

import pytest

from comfykit.families.hook_keyframes import (
    INTERPOLATIONS,
    NO_KEYFRAMES,
    Keyframe,
    Keyframes,
    StrengthRun,
    evenly,
    spread,
)
from comfykit.sampling.noise_levels import scaled_linear_levels

LEVELS = scaled_linear_levels()
# Noise levels of a run in 11 steps of the same length, from the beginning to nearly the end.
RUN = [LEVELS.sigma_max, *(LEVELS.percent_to_sigma(part / 10) for part in range(1, 10))]


def strengths(keyframes: Keyframes, levels: list[float] = RUN) -> list[float]:
    run = StrengthRun(keyframes, LEVELS)
    found = []
    for sigma in levels:
        run.advance(sigma)
        run.advance(sigma)  # a second call at a level is no step
        found.append(run.strength)
    return found


def keyframes(*pairs: tuple[float, float], guarantee: int = 1) -> Keyframes:
    return NO_KEYFRAMES.with_more([Keyframe(start, strength, guarantee) for start, strength in pairs])


def test_without_keyframes_the_strength_is_1() -> None:
    assert strengths(NO_KEYFRAMES) == [1.0] * 10
    assert NO_KEYFRAMES.strength_at(0.5) == 1.0


def test_a_keyframe_counts_from_its_start_to_the_next_one() -> None:
    given = keyframes((0.7, 3.0), (0.0, 1.0), (0.3, 2.0))  # in any order
    assert strengths(given) == [1, 1, 1, 2, 2, 2, 2, 3, 3, 3]
    assert [given.strength_at(part / 10) for part in range(10)] == [1, 1, 1, 2, 2, 2, 2, 3, 3, 3]


def test_the_first_keyframe_counts_before_its_start() -> None:
    assert strengths(keyframes((0.5, 0.25))) == [0.25] * 10
    assert keyframes((0.5, 0.25)).strength_at(0.0) == 0.25


def test_of_keyframes_between_two_levels_each_guaranteed_one_has_its_step() -> None:
    close = ((0.0, 1.0), (0.32, 2.0), (0.34, 3.0), (0.36, 4.0))
    assert strengths(keyframes(*close)) == [1, 1, 1, 1, 2, 3, 4, 4, 4, 4]
    assert strengths(keyframes(*close, guarantee=0)) == [1, 1, 1, 1, 4, 4, 4, 4, 4, 4]


def test_guaranteed_steps_hold_the_next_keyframe_back() -> None:
    given = NO_KEYFRAMES.with_more([Keyframe(0.1, 1.0), Keyframe(0.2, 2.0, 4), Keyframe(0.3, 3.0)])
    assert strengths(given) == [1, 1, 2, 2, 2, 2, 3, 3, 3, 3]


def test_what_started_before_a_run_guarantees_nothing_in_it() -> None:
    given = keyframes((0.0, 1.0), (0.1, 2.0), (0.3, 3.0), (0.8, 4.0))
    assert strengths(given, RUN[5:]) == [3, 3, 3, 4, 4]


def test_of_those_that_start_together_the_one_added_last_counts() -> None:
    assert strengths(keyframes((0.0, 1.0)).with_more([Keyframe(0.0, 2.0)])) == [2.0] * 10


@pytest.mark.parametrize(
    ("name", "half", "early"),
    [
        ("linear", 0.5, 0.25),
        ("ease_in", 0.25, 0.0625),
        ("ease_out", 0.75, 0.4375),
        ("ease_in_out", 0.5, 0.146447),
    ],
)
def test_interpolations_go_from_0_to_1(name: str, half: float, early: float) -> None:
    ease = INTERPOLATIONS[name]
    assert [ease(t) for t in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([0.0, early, half, 1.0], abs=1e-6)


def test_spread_keyframes_guarantee_the_first_a_step() -> None:
    assert evenly(0.2, 0.8, 4) == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert spread([5.0], 0.25, 0.75) == [Keyframe(0.25, 5.0, 1)]
    made = spread([1.0, 2.0, 3.0], 0.0, 1.0)
    assert made == [Keyframe(0.0, 1.0, 1), Keyframe(0.5, 2.0, 0), Keyframe(1.0, 3.0, 0)]
