"""SA-Solver (arXiv 2309.05019): stochastic Adams methods, a predictor and a corrector of several steps.

In lam = -log(sigma), with h the step, c = 1 + tau^2 and P the polynomial through known predictions of x0,

    x' = (sigma' / sigma) e^(-tau^2 h) x + c * integral of e^(c (lam - lam')) P(lam) over the step
         + noise * sigma' sqrt(1 - e^(-2 tau^2 h))

(equations 14 and 17). The predictor knows the predictions up to the step's beginning, the corrector also the
one at its end. tau says how stochastic a step is: 0 is the ODE, 1 the reverse SDE.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from comfykit.sampling.denoiser import Denoiser, StepCallback, StepInfo
from comfykit.sampling.noise import StepNoise
from comfykit.sampling.samplers.steps import denoise_at, log_snr


def sa_solver(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    predictor_order: int = 3,
    corrector_order: int = 4,
    pece: bool = False,
    eta: float = 1.0,
    s_noise: float = 1.0,
    sde_from: float = math.inf,
    sde_to: float = 0.0,
    simple_order_2: bool = False,
) -> Tensor:
    """One evaluation a step, with `pece` a second one of the corrected state; a step to 0 takes x0 itself.

    tau is `eta` for steps to levels between `sde_from` and `sde_to`, 0 for others. `corrector_order` 0 does
    without the corrector. Orders are lower in the first steps and, when the schedule ends at 0, in the last.
    `simple_order_2` is the authors' variant of order 2 for few steps (`adams_weights`).
    """
    levels = sigmas.tolist()
    steps = len(levels) - 1
    known: list[tuple[float, Tensor]] = []  # (lam, prediction), newest first
    step: _Step | None = None
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, denoised = x, denoise_at(denoiser, x, sigma)
        lam = log_snr(sigma)
        left = steps - i if levels[-1] == 0 else steps + 1
        known.insert(0, (lam, denoised))
        if step is not None and corrector_order > 0:
            x = step.advance(known[: min(corrector_order, i + 1, left)])
            if pece:
                before, denoised = x, denoise_at(denoiser, x, sigma)
                known[0] = (lam, denoised)
        if sigma_next == 0:
            x = denoised
        else:
            tau = eta if sde_to <= sigma_next <= sde_from else 0.0
            z = noise(sigma, sigma_next) * s_noise if tau > 0 and s_noise > 0 else None
            step = _Step(x, lam, log_snr(sigma_next), tau, z, simple_order_2)
            x = step.advance(known[: min(predictor_order, i + 1, left - 1)])
        del known[max(predictor_order, corrector_order) :]
        callback(StepInfo(i, steps, sigma, before, denoised))
    return x


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """One step from x; predictor and corrector differ in the predictions they know and share the noise."""

    x: Tensor
    lam: float
    lam_next: float
    tau: float
    noise: Tensor | None
    simple_order_2: bool

    def advance(self, known: Sequence[tuple[float, Tensor]]) -> Tensor:
        """The state at lam_next."""
        h, variance = self.lam_next - self.lam, self.tau**2
        weights = adams_weights(
            [lam - self.lam_next for lam, _ in known], h, 1 + variance, self.simple_order_2
        )
        x = self.x * math.exp(-h * (1 + variance))
        for weight, (_, denoised) in zip(weights, known, strict=True):
            x = x + denoised * weight
        if self.noise is not None:
            x = x + self.noise * (math.exp(-self.lam_next) * math.sqrt(-math.expm1(-2 * variance * h)))
        return x


def adams_weights(nodes: Sequence[float], h: float, c: float, simple_order_2: bool = False) -> list[float]:
    """Weights w with sum w_j P(nodes_j) = c * integral of e^(c u) P(u) over u from -h to 0.

    Exact for polynomials P of a degree below the number of nodes (in lam, counted from the step's end).
    `simple_order_2`: with two nodes, the integral of a slope counted from the step's beginning, which is
    (c h - 1 + e^(-c h)) / c^2, is taken as h^2 / 2, as in UniPC.
    """
    from scipy.special import gammainc  # takes a moment to import

    z = c * h
    scaled = torch.tensor([node / h for node in nodes], dtype=torch.float64)
    powers = torch.stack([scaled**k for k in range(len(nodes))])
    # z * integral of e^(z v) v^k over v from -1 to 0, by the lower incomplete gamma function.
    moments = [(-1) ** k * math.factorial(k) * float(gammainc(k + 1, z)) / z**k for k in range(len(nodes))]
    if simple_order_2 and len(nodes) == 2:
        moments[1] = z / 2 - moments[0]
    solved: list[float] = torch.linalg.solve(powers, torch.tensor(moments, dtype=torch.float64)).tolist()
    return solved
