"""Blend modes: functions of a backdrop and a layer, both 0 to 1.

Formulas: W3C "Compositing and Blending Level 1", section 9.1, except for difference, which keeps its sign.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Blend = Callable[[Tensor, Tensor], Tensor]


def screen(backdrop: Tensor, layer: Tensor) -> Tensor:
    """Multiply the negatives: never darker than either."""
    return 1.0 - (1.0 - backdrop) * (1.0 - layer)


def overlay(backdrop: Tensor, layer: Tensor) -> Tensor:
    """Multiply where the backdrop is dark, screen where it is bright."""
    return torch.where(backdrop <= 0.5, 2.0 * backdrop * layer, screen(2.0 * backdrop - 1.0, layer))


def soft_light(backdrop: Tensor, layer: Tensor) -> Tensor:
    """Darken or lighten as a diffuse light of the layer's colours would."""
    cubic = ((16.0 * backdrop - 12.0) * backdrop + 4.0) * backdrop
    lifted = torch.where(backdrop <= 0.25, cubic, backdrop.clamp(min=0.0).sqrt())
    darker = backdrop - (1.0 - 2.0 * layer) * backdrop * (1.0 - backdrop)
    lighter = backdrop + (2.0 * layer - 1.0) * (lifted - backdrop)
    return torch.where(layer <= 0.5, darker, lighter)


BLENDS: Mapping[str, Blend] = {
    "normal": lambda backdrop, layer: layer,
    "multiply": torch.mul,
    "screen": screen,
    "overlay": overlay,
    "soft_light": soft_light,
    "difference": torch.sub,
}


def blend(backdrop: Tensor, layer: Tensor, mode: str, amount: float) -> Tensor:
    """The backdrop, mixed with what the mode makes of both: all of that at an amount of 1. Within 0 to 1."""
    return torch.lerp(backdrop, BLENDS[mode](backdrop, layer), amount).clamp_(0.0, 1.0)
