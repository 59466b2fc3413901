"""Default conditionings: they count where no other of their side does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from comfykit.sampling.conditioning import PlacedCond


def settle_defaults(
    side: Sequence[PlacedCond], shape: Sequence[int], device: torch.device
) -> list[PlacedCond]:
    """The conditionings of a side that count at one level, defaults where the others weigh nothing.

    They are left out, and cost no evaluation, where the others cover all of the latent,
    whose `shape` is [batch, channels, ...].
    """
    if not any(placed.cond.default for placed in side):
        return list(side)
    covered = torch.zeros((shape[0], 1, *shape[2:]), dtype=torch.bool, device=device)
    for placed in side:
        if not placed.cond.default:
            weight = torch.as_tensor(placed.weight, device=device)
            covered[placed.region] |= weight != 0
    if bool(covered.all()):
        return [placed for placed in side if not placed.cond.default]
    return [_where_free(placed, covered) if placed.cond.default else placed for placed in side]


def _where_free(placed: PlacedCond, covered: Tensor) -> PlacedCond:
    if not bool(covered.any()):
        return placed
    return replace(placed, weight=placed.weight * (~covered[placed.region]).float())
