"""One file per check. A new one is a file here and a line in `CHECKS`."""

from __future__ import annotations

from comfykit.doctor.checks import cuda, gpu, home, memory, models, numpy, packages, python, torch
from comfykit.doctor.interface import Check

# In the order they are shown: each builds on those before it.
CHECKS: tuple[Check, ...] = (
    python.check,
    torch.check,
    numpy.check,
    packages.check,
    gpu.check,
    cuda.check,
    memory.check,
    home.check,
    models.check,
)
