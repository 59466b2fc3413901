"""Composition of transparent pictures.

Porter and Duff, "Compositing digital images" (1984), for the twelve operators; those that mix colours are
those of Android's `PorterDuff.Mode`, whose documentation has their formulas. In all of them colours are
multiplied by their alpha: s and d are those of source and destination, a and b their alphas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Operator = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]

LEAST_ALPHA = 1e-5  # below it, there is no colour to be had


def _union(a: Tensor, b: Tensor) -> Tensor:
    return a + b - a * b


def _add(s: Tensor, a: Tensor, d: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return (s + d).clamp(0.0, 1.0), (a + b).clamp(0.0, 1.0)


def _darken(s: Tensor, a: Tensor, d: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return (1.0 - b) * s + (1.0 - a) * d + torch.minimum(s, d), _union(a, b)


def _lighten(s: Tensor, a: Tensor, d: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return (1.0 - b) * s + (1.0 - a) * d + torch.maximum(s, d), _union(a, b)


def _overlay(s: Tensor, a: Tensor, d: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return torch.where(2.0 * d < b, 2.0 * s * d, a * b - 2.0 * (b - s) * (a - d)), _union(a, b)


OPERATORS: Mapping[str, Operator] = {
    "ADD": _add,
    "CLEAR": lambda s, a, d, b: (torch.zeros_like(d), torch.zeros_like(b)),
    "DARKEN": _darken,
    "DST": lambda s, a, d, b: (d, b),
    "DST_ATOP": lambda s, a, d, b: (a * d + (1.0 - b) * s, a),
    "DST_IN": lambda s, a, d, b: (d * a, a * b),
    "DST_OUT": lambda s, a, d, b: ((1.0 - a) * d, (1.0 - a) * b),
    "DST_OVER": lambda s, a, d, b: (d + (1.0 - b) * s, b + (1.0 - b) * a),
    "LIGHTEN": _lighten,
    "MULTIPLY": lambda s, a, d, b: (s * d, a * b),
    "OVERLAY": _overlay,
    "SCREEN": lambda s, a, d, b: (s + d - s * d, _union(a, b)),
    "SRC": lambda s, a, d, b: (s, a),
    "SRC_ATOP": lambda s, a, d, b: (b * s + (1.0 - a) * d, b),
    "SRC_IN": lambda s, a, d, b: (s * b, a * b),
    "SRC_OUT": lambda s, a, d, b: ((1.0 - b) * s, (1.0 - b) * a),
    "SRC_OVER": lambda s, a, d, b: (s + (1.0 - a) * d, a + (1.0 - a) * b),
    "XOR": lambda s, a, d, b: ((1.0 - b) * s + (1.0 - a) * d, (1.0 - b) * a + (1.0 - a) * b),
}


def compose(
    source: Tensor, source_mask: Tensor, destination: Tensor, destination_mask: Tensor, operator: str
) -> tuple[Tensor, Tensor]:
    """IMAGE and MASK of one picture over another; masks are 1 where a picture is transparent."""
    a, b = 1.0 - source_mask[..., None], 1.0 - destination_mask[..., None]
    color, alpha = OPERATORS[operator](source * a, a, destination * b, b)
    plain = torch.where(alpha > LEAST_ALPHA, color / alpha.clamp(min=LEAST_ALPHA), 0.0)
    return plain.clamp(0.0, 1.0), 1.0 - alpha[..., 0]
