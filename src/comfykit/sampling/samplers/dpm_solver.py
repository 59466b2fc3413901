"""DPM-Solver (arXiv 2206.00927): exponential integrators for the prediction of the noise.

With t = -log(sigma), h the step in t and eps = (x - D) / sigma, a step that takes eps as constant is

    x' = x - sigma' (e^h - 1) eps

and solvers of order 2 and 3 better eps by evaluations inside the step. They go from the largest to the
smallest positive level of a schedule and choose the levels between by themselves; a final 0 is left out.
"""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from comfykit.errors import UsageError
from comfykit.sampling.denoiser import Denoiser, StepCallback, StepInfo
from comfykit.sampling.noise import StepNoise
from comfykit.sampling.samplers.step_size import StepSize
from comfykit.sampling.samplers.steps import ancestral_levels, denoise_at, log_snr, slope

NEAR_THE_END = 1e-5
"""A rest of the way in t that is not worth a step."""


def dpm_fast(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    eta: float = 0.0,
    s_noise: float = 1.0,
) -> Tensor:
    """As many evaluations as the schedule has steps: steps even in t, of order 3 as long as they last."""
    t_start, t_end = _ends(sigmas)
    orders = _orders(len(sigmas) - 1)
    for i, order in enumerate(orders):
        t, t_next = (t_start + (t_end - t_start) * k / len(orders) for k in (i, i + 1))
        step = _Step(denoiser, x, t)
        t_down, up = _ancestral_times(t, t_next, t_end, eta)
        before, x = x, step.to(t_down, order)
        if up > 0:
            x = x + noise(math.exp(-t), math.exp(-t_next)) * (s_noise * up)
        callback(StepInfo(i, len(orders), step.sigma, before, step.denoised))
    return x


def dpm_adaptive(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    order: int = 3,
    rtol: float = 0.05,
    atol: float = 0.0078,
    h_init: float = 0.05,
    pcoeff: float = 0.0,
    icoeff: float = 1.0,
    dcoeff: float = 0.0,
    accept_safety: float = 0.81,
    eta: float = 0.0,
    s_noise: float = 1.0,
) -> Tensor:
    """Steps so wide that the solvers of `order` (2 or 3) and of one less agree (appendix C.2).

    Steps are told when they are accepted, with a guess at how many there will be. Raises `UsageError` when
    predictions are not finite, as no step is narrow enough then.
    """
    t, t_end = _ends(sigmas)
    size = StepSize.of_order(1.5 if eta else order, h_init, pcoeff, icoeff, dcoeff, accept_safety)
    x_low, steps = x, 0
    step = _Step(denoiser, x, t)
    while t < t_end - NEAR_THE_END:
        t_next = min(t_end, t + size.h)
        t_down, up = _ancestral_times(t, t_next, t_end, eta)
        low = step.to(t_down, order - 1, r=1 / 3 if order == 3 else 1 / 2)
        high = step.to(t_down, order)
        if not size.accepts(_disagreement(low, high, x_low, rtol, atol)):
            continue
        before, x, x_low = x, high, low
        if up > 0:
            x = x + noise(math.exp(-t), math.exp(-t_next)) * (s_noise * up)
        steps, left = steps + 1, math.ceil((t_end - NEAR_THE_END - t_next) / size.h)
        callback(StepInfo(steps - 1, steps + max(left, 0), step.sigma, before, step.denoised))
        t = t_next
        step = _Step(denoiser, x, t)
    return x


class _Step:
    """The solvers for a step from x at the time t. Nothing is evaluated twice, or before it is needed."""

    def __init__(self, denoiser: Denoiser, x: Tensor, t: float) -> None:
        self._denoiser, self._x, self._t = denoiser, x, t
        self._inner: dict[float, Tensor] = {}
        self.sigma = math.exp(-t)

    @cached_property
    def denoised(self) -> Tensor:
        """The prediction of x0 at the step's beginning."""
        return denoise_at(self._denoiser, self._x, self.sigma)

    @cached_property
    def _eps(self) -> Tensor:
        return slope(self._x, self.denoised, self.sigma)

    def to(self, t_next: float, order: int, r: float | None = None) -> Tensor:
        """The state at t_next; `r` is the part of the step at which the second evaluation is."""
        if order == 1:
            return self._first(t_next)
        if order == 2:
            return self._second(t_next, 1 / 2 if r is None else r)
        return self._third(t_next)

    def _first(self, t_next: float) -> Tensor:
        return self._x - self._eps * (math.exp(-t_next) * math.expm1(t_next - self._t))

    def _second(self, t_next: float, r: float) -> Tensor:
        """DPM-Solver-2 (algorithm 1)."""
        change = self._eps_at(self._t + r * (t_next - self._t)) - self._eps
        return self._first(t_next) - change * (math.exp(-t_next) * math.expm1(t_next - self._t) / (2 * r))

    def _third(self, t_next: float, r1: float = 1 / 3, r2: float = 2 / 3) -> Tensor:
        """DPM-Solver-3 (algorithm 2)."""
        h = t_next - self._t
        t1, t2 = self._t + r1 * h, self._t + r2 * h
        change = self._eps_at(t1) - self._eps
        x2 = self._first(t2) - change * (math.exp(-t2) * r2 / r1 * (math.expm1(r2 * h) / (r2 * h) - 1))
        change = self._evaluate(x2, t2) - self._eps
        return self._first(t_next) - change * (math.exp(-t_next) / r2 * (math.expm1(h) / h - 1))

    def _eps_at(self, t: float) -> Tensor:
        if t not in self._inner:
            self._inner[t] = self._evaluate(self._first(t), t)
        return self._inner[t]

    def _evaluate(self, x: Tensor, t: float) -> Tensor:
        sigma = math.exp(-t)
        return slope(x, denoise_at(self._denoiser, x, sigma), sigma)


def _ends(sigmas: Tensor) -> tuple[float, float]:
    """The times of the largest and of the smallest positive level."""
    positive = sigmas[sigmas > 0]
    return log_snr(float(positive.max())), log_snr(float(positive.min()))


def _orders(evaluations: int) -> list[int]:
    """Orders of steps that take that many evaluations altogether (section 3.4)."""
    threes, rest = divmod(evaluations, 3)
    return [3] * threes + [rest] if rest else [3] * (threes - 1) + [2, 1]


def _ancestral_times(t: float, t_next: float, t_end: float, eta: float) -> tuple[float, float]:
    """The time to step to, not beyond t_end, and the noise to add there to be at t_next."""
    if not eta:
        return t_next, 0.0
    down, _ = ancestral_levels(math.exp(-t), math.exp(-t_next), eta)
    t_down = min(t_end, log_snr(down)) if down > 0 else t_end
    return t_down, math.sqrt(max(math.exp(-2 * t_next) - math.exp(-2 * t_down), 0.0))


def _disagreement(low: Tensor, high: Tensor, x_low: Tensor, rtol: float, atol: float) -> float:
    """Root mean square of what two solvers differ by, in parts of what they may."""
    allowed = torch.maximum(low.abs(), x_low.abs()).mul(rtol).clamp(min=atol)
    error = float(((low - high) / allowed).square().mean().sqrt())
    if not math.isfinite(error):
        raise UsageError("the model predicts values that are not finite, for which no step is narrow enough")
    return error
