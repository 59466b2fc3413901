"""iPNDM (arXiv 2202.09778, 2204.13902): Adams-Bashforth in sigma, warmed up with lower orders."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias

from torch import Tensor

from comfykit.sampling.denoiser import Denoiser, StepCallback, StepInfo
from comfykit.sampling.noise import StepNoise
from comfykit.sampling.samplers.steps import denoise_at, slope

Weights: TypeAlias = Callable[[Sequence[float], float], Sequence[float]]
"""Weights of the slopes at known levels, newest first, for a step to a level."""

EVEN_STEPS = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))
"""Coefficients of Adams-Bashforth of order 1 to 4, newest slope first."""


def ipndm(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    order: int = 4,
) -> Tensor:
    """Up to order 4 with the coefficients of even steps, whatever the steps are; a step to 0 takes x0."""
    return _multistep(even_weights, denoiser, x, sigmas, callback, order)


def ipndm_v(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: StepNoise,
    callback: StepCallback,
    order: int = 4,
) -> Tensor:
    """`ipndm` with coefficients for uneven steps (`uneven_weights`)."""
    return _multistep(uneven_weights, denoiser, x, sigmas, callback, order)


def _multistep(
    weights: Weights, denoiser: Denoiser, x: Tensor, sigmas: Tensor, callback: StepCallback, order: int
) -> Tensor:
    levels = sigmas.tolist()
    slopes: deque[Tensor] = deque(maxlen=order)
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        before, denoised = x, denoise_at(denoiser, x, sigma)
        slopes.appendleft(slope(x, denoised, sigma))
        if sigma_next == 0:
            x = denoised
        else:
            known = levels[i::-1][: len(slopes)]
            for weight, d in zip(weights(known, sigma_next), slopes, strict=True):
                x = x + d * weight
        callback(StepInfo(i, len(levels) - 1, sigma, before, denoised))
    return x


def even_weights(known: Sequence[float], end: float) -> list[float]:
    """Adams-Bashforth's weights for even steps, scaled to the width of this one."""
    return [c * (end - known[0]) for c in EVEN_STEPS[len(known) - 1]]


def uneven_weights(known: Sequence[float], end: float) -> list[float]:
    """Weights that allow for uneven steps, as the method's authors publish them (zju-pi/diff-sampler).

    They are sums of the first, second and third difference of the slopes. `second`, `third` and the last
    number of the third difference are not Newton's exact ones (those are in `lms.multistep_weights`), which
    leaves order 2 on uneven steps; pictures made with ipndm_v depend on it.
    """
    h = end - known[0]
    widths = [newer - older for newer, older in pairwise(known)]  # of the steps before, newest first
    weights = [0.0] * len(known)
    for k, term in enumerate((_value, _first, _second, _third)[: len(known)]):
        for j, weight in enumerate(term(h, *widths[:k])):
            weights[j] += h * weight
    return weights


def _value(h: float) -> tuple[float, ...]:
    return (1.0,)


def _first(h: float, h1: float) -> tuple[float, ...]:
    factor = h / (2 * h1)
    return factor, -factor


def _second(h: float, h1: float, h2: float) -> tuple[float, ...]:
    factor, q = (1 - h**2 / (3 * h1 * (h1 + h2))) / 2, h1 / h2
    return factor, -factor * (1 + q), factor * q


def _third(h: float, h1: float, h2: float, h3: float) -> tuple[float, ...]:
    factor = (1 - h / (3 * (h + h1))) / 2 + (1 - h / (2 * (h + h1))) * h / (6 * (h + h1 + h2))
    factor *= h * (h + h1) * (h + h1 + h2) / (h1 * (h1 + h2) * (h1 + h2 + h3))
    q, k = h1 / h2, h1 * (h1 + h2) / (h2 * (h2 + h3))
    return factor, -factor * (1 + q + k), factor * (q + k * (1 + h2 / h3)), -factor * k * q
