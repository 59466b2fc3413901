"""UniPC (arXiv 2302.04867): a multistep predictor whose corrector costs no further evaluation.

In lam = -log(sigma), with h the step, D the predictions of x0 and r_m = (lam_(i-m) - lam_i) / h:

    x' = (sigma' / sigma) x + (1 - e^(-h)) D_i - B(h) sum_m rho_m (D_(i-m) - D_i) / r_m

The predictor (UniP) takes the last predictions, the corrector (UniC) also the one at the new level, for
which r = 1. The weights rho make the step exact for polynomials in lam (equation 10); bh1 and bh2 are
the two choices of B. The paper scales x by 1 / sqrt(1 + sigma^2), which leaves the formula as it is here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from comfykit.sampling.denoiser import Denoiser, StepCallback, StepInfo
from comfykit.sampling.noise import StepNoise
from comfykit.sampling.samplers.steps import denoise_at, log_snr

Variant = Literal["bh1", "bh2"]

LAST_LEVEL = 0.001
"""Stands for a last level of 0, where lam would be infinite."""


def uni_pc(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    variant: Variant = "bh1",
) -> Tensor:
    """Order up to 3, lower in the first and last steps; one evaluation a step, none at the last level."""
    levels = [sigma or LAST_LEVEL for sigma in sigmas.tolist()]
    steps = len(levels) - 1
    highest = max(1, min(3, steps - 1))
    known = [denoise_at(denoiser, x, levels[0])]  # predictions of x0, newest first
    corrected = x
    for i in range(steps):
        order = min(i + 1, highest, steps - i)
        step = _Step(tuple(log_snr(level) for level in levels[i - order + 1 : i + 2]), variant)
        before, x = x, step.advance(corrected, known)
        callback(StepInfo(i, steps, levels[i], before, known[0]))
        if i + 1 < steps:
            denoised = denoise_at(denoiser, x, levels[i + 1])
            corrected = step.advance(corrected, known, at_end=denoised)
            known = [denoised, *known[: highest - 1]]
    return x


@dataclass(frozen=True, slots=True)
class _Step:
    """One step; `lams` are those of the earlier levels its order needs, of this level and of the next."""

    lams: tuple[float, ...]
    variant: Variant

    def advance(self, x: Tensor, known: Sequence[Tensor], at_end: Tensor | None = None) -> Tensor:
        """The state at the next level: predicted or, with the prediction of x0 made there, corrected."""
        *earlier, now, end = self.lams
        h = end - now
        newest = known[0]
        ratios = [(lam - now) / h for lam in reversed(earlier)]
        slopes = [(old - newest) / r for old, r in zip(known[1:], ratios, strict=False)]
        if at_end is not None:
            ratios.append(1.0)
            slopes.append(at_end - newest)
        scale = -h if self.variant == "bh1" else math.expm1(-h)
        x = newest.lerp(x, math.exp(-h))
        for weight, d in zip(_weights(ratios, h, scale), slopes, strict=True):
            x = x - d * (scale * weight)
        return x


def _weights(ratios: Sequence[float], h: float, scale: float) -> list[float]:
    """The rho that solve sum_m rho_m r_m^(k-1) = k! (-h) phi_(k+1)(-h) / B, k = 1 ... len(ratios).

    phi_1(z) = (e^z - 1) / z and phi_(k+1)(z) = (phi_k(z) - 1/k!) / z. A single weight is 1/2, to which the
    equation leads as h goes to 0 (section 3.3).
    """
    if len(ratios) <= 1:
        return [0.5] * len(ratios)
    phi, wanted = math.expm1(-h) / -h, []
    for k in range(1, len(ratios) + 1):
        phi = (phi - 1 / math.factorial(k)) / -h
        wanted.append(math.factorial(k) * -h * phi / scale)
    r = torch.tensor(ratios, dtype=torch.float64)
    powers = torch.stack([r**k for k in range(len(ratios))])
    solved: list[float] = torch.linalg.solve(powers, torch.tensor(wanted, dtype=torch.float64)).tolist()
    return solved
