"""Adaptive step sizes by a controller that looks at the last three errors."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass
class StepSize:
    """Widens and narrows a step h so that its error comes near 1.

    A PID controller in the logarithm of the step (Söderlind 2003, "Digital filters in adaptive
    time-stepping", as k-diffusion uses it): the step is multiplied by the product of the inverse errors
    of the last steps, each to the power of its gain, softly limited to between 1 - pi/4 and 1 + pi/2.
    """

    h: float
    gains: tuple[float, float, float]
    accept_safety: float
    _inverse_errors: list[float] = field(default_factory=list)

    @classmethod
    def of_order(
        cls, order: float, h: float, pcoeff: float, icoeff: float, dcoeff: float, accept_safety: float
    ) -> StepSize:
        """The controller of a solver of that order, with proportional, integral and derivative gain."""
        gains = (pcoeff + icoeff + dcoeff, -(pcoeff + 2 * dcoeff), dcoeff)
        first, second, third = (gain / order for gain in gains)
        return cls(abs(h), (first, second, third), accept_safety)

    def accepts(self, error: float) -> bool:
        """Whether a step with that error (1 is what is allowed) is good enough; h becomes the next to try."""
        inverse = 1 / (error + 1e-8)
        last = self._inverse_errors or [inverse, inverse]
        errors = (inverse, *last)
        factor = math.prod(e**gain for e, gain in zip(errors, self.gains, strict=True))
        factor = 1 + math.atan(factor - 1)
        accepted = factor >= self.accept_safety
        if accepted or not self._inverse_errors:
            self._inverse_errors = [inverse, last[0]]
        self.h *= factor
        return accepted
