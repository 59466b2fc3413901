"""`comfy_extras.nodes_align_your_steps`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from comfykit.compat.extras import classes

globals().update(classes(__name__))


def loglinear_interp(t_steps: Sequence[float], num_steps: int) -> Any:
    """Levels at another number of steps: straight lines in log-sigma."""
    table = np.asarray(t_steps, dtype=np.float64)
    at = np.linspace(0, len(table) - 1, num_steps)
    return np.exp(np.interp(at, np.arange(len(table)), np.log(table)))
