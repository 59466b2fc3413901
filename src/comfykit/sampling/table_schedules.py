"""Schedules that were found by optimisation and published as tables: Align Your Steps, GITS.

A table has a schedule for one or some numbers of steps; others are read between its entries, linearly in
log-sigma. Each function gives float32 on the CPU, falling, with a final 0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from comfykit.errors import UsageError

ALIGN_YOUR_STEPS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "SD1": (
            14.6146412293,
            6.4745760956,
            3.8636745985,
            2.694615152,
            1.8841921177,
            1.3943805092,
            0.9642583904,
            0.6523686016,
            0.3977456272,
            0.1515232662,
            0.0291671582,
        ),
        "SDXL": (
            14.6146412293,
            6.3184485287,
            3.7681790315,
            2.1811480769,
            1.3405244945,
            0.8620721141,
            0.5550693289,
            0.3798540708,
            0.2332364134,
            0.1114188177,
            0.0291671582,
        ),
        "SVD": (700.0, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002),
    }
)
"""Levels for 10 steps of each family of models (arXiv 2404.14507)."""


def align_your_steps(model_type: str, steps: int, denoise: float = 1.0) -> Tensor:
    """The levels that lose least for a family of models (arXiv 2404.14507); see `ALIGN_YOUR_STEPS`."""
    return _last_part(_resampled(ALIGN_YOUR_STEPS[model_type], steps), steps, denoise)


def gits(coeff: float, steps: int, denoise: float = 1.0) -> Tensor:
    """Levels where the paths of samples bend most (arXiv 2405.11326).

    `coeff`, from 0.8 to 1.5, is the paper's gamma: the higher, the more steps are at low levels. There are
    tables for 2 to 20 steps; more steps than that are read between those of 20. Raises `UsageError` for a
    coefficient without a table and for less than 2 steps.
    """
    tables = _gits_tables()
    name = f"{coeff:.2f}"
    if name not in tables or steps < 2:
        raise UsageError(
            f"there is no GITS schedule of {steps} steps for coefficient {coeff}",
            hint=f"it takes 2 steps or more and a coefficient of {', '.join(tables)}",
            coeff=coeff,
            steps=steps,
        )
    rows = tables[name]
    return _last_part(_resampled(rows[min(steps - 2, len(rows) - 1)], steps), steps, denoise)


@cache
def _gits_tables() -> Mapping[str, Sequence[Sequence[float]]]:
    """By coefficient, the levels for 2, 3, ... steps. The file has places in a list of all levels."""
    file = files("comfykit") / "assets" / "schedules" / "gits.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    levels = data["levels"]
    return {
        coeff: [[levels[place] for place in row] for row in rows] for coeff, rows in data["tables"].items()
    }


def _resampled(levels: Sequence[float], steps: int) -> list[float]:
    """The levels as a schedule of so many steps."""
    if len(levels) == steps + 1:
        return list(levels)
    have, wanted = np.linspace(0, 1, len(levels)), np.linspace(0, 1, steps + 1)
    resampled: list[float] = np.exp(np.interp(wanted, have, np.log(levels))).tolist()
    return resampled


def _last_part(levels: Sequence[float], steps: int, denoise: float) -> Tensor:
    """The end of a schedule, for a run that begins at a latent; its last level is 0. Empty at `denoise` 0."""
    if denoise <= 0:
        return torch.empty(0)
    kept = round(steps * denoise) if denoise < 1 else steps
    sigmas = torch.tensor(levels[-(kept + 1) :], dtype=torch.float32)
    sigmas[-1] = 0
    return sigmas
