"""HOOK_KEYFRAMES: how the strength of a hook changes on the way from noise to picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from comfykit.sampling.noise_levels import NoiseLevels

# Between 0 and 1, from 0 to 1: Robert Penner's easing functions, quadratic and sine.
INTERPOLATIONS: Mapping[str, Callable[[float], float]] = {
    "linear": lambda t: t,
    "ease_in": lambda t: t * t,
    "ease_out": lambda t: 1.0 - (1.0 - t) ** 2,
    "ease_in_out": lambda t: (1.0 - math.cos(math.pi * t)) / 2.0,
}


@dataclass(frozen=True, slots=True)
class Keyframe:
    """From `start_percent` of the schedule (0 to 1) on, hooks act with `strength` times their own.

    It lasts for `guarantee_steps` noise levels at least, even where the next one starts earlier.
    """

    start_percent: float
    strength: float
    guarantee_steps: int = 1


@dataclass(frozen=True, slots=True)
class Keyframes:
    """Keyframes in the order in which they start; the first one counts before its start, too."""

    keyframes: tuple[Keyframe, ...] = ()

    def with_more(self, more: Sequence[Keyframe]) -> Keyframes:
        """These and others; of those that start together, the one added last counts."""
        return Keyframes(tuple(sorted((*self.keyframes, *more), key=lambda one: one.start_percent)))

    def strength_at(self, percent: float) -> float:
        """The strength at a part of the schedule, whatever is guaranteed; 1 without keyframes."""
        started = [one.strength for one in self.keyframes if one.start_percent <= percent]
        return started[-1] if started else self.keyframes[0].strength if self.keyframes else 1.0


NO_KEYFRAMES = Keyframes()


def evenly(start: float, end: float, count: int) -> list[float]:
    """`count` numbers from `start` to `end` with the same distances; `start` where it is one."""
    return [start + (end - start) * step / max(count - 1, 1) for step in range(count)]


def spread(strengths: Sequence[float], start: float, end: float) -> list[Keyframe]:
    """Keyframes with these strengths at even distances; the first is guaranteed a step."""
    starts = evenly(start, end, len(strengths))
    return [
        Keyframe(percent, strength, guarantee_steps=int(number == 0))
        for number, (percent, strength) in enumerate(zip(starts, strengths, strict=True))
    ]


class StrengthRun:
    """The strength that keyframes give at each noise level of one run, which it is told in order."""

    def __init__(self, keyframes: Keyframes, levels: NoiseLevels) -> None:
        self._keyframes = keyframes.keyframes
        self._starts = [levels.percent_to_sigma(one.start_percent) for one in self._keyframes]
        self._current = 0
        self._lasted = 0
        self._first = math.inf
        self._last: float | None = None

    @property
    def strength(self) -> float:
        """The strength at the level told last."""
        return self._keyframes[self._current].strength if self._keyframes else 1.0

    def advance(self, sigma: float) -> None:
        """Go on to a level; the level told last changes nothing."""
        if sigma == self._last:
            return
        if self._last is None:
            self._first = sigma
        if self._keyframes and self._lasted >= self._guaranteed(self._current):
            self._switch(sigma)
        self._lasted += 1
        self._last = sigma

    def _switch(self, sigma: float) -> None:
        """Take the last keyframe that has started, or the first of them that is guaranteed steps."""
        for number in range(self._current + 1, len(self._keyframes)):
            if self._starts[number] < sigma:
                return
            self._current, self._lasted = number, 0
            if self._guaranteed(number):
                return

    def _guaranteed(self, number: int) -> int:
        """Levels that a keyframe lasts at least; none where it started before this run did."""
        return 0 if self._starts[number] > self._first else self._keyframes[number].guarantee_steps
