"""One file per check. A new one is a file here and a line in `CHECKS`."""

from __future__ import annotations

from comfykit.doctor.checks import (
    amd,
    cuda,
    gpu,
    home,
    installation,
    late,
    memory,
    models,
    network,
    numpy,
    packages,
    packs,
    pairs,
    python,
    torch,
    workflow,
)
from comfykit.doctor.interface import Check

# In the order they are shown: each builds on those before it.
CHECKS: tuple[Check, ...] = (
    late.check,
    python.check,
    torch.check,
    pairs.check,
    numpy.check,
    packages.check,
    installation.check,
    gpu.check,
    cuda.check,
    amd.check,
    memory.check,
    home.check,
    network.check,
    models.check,
    packs.check,
    workflow.check,
)
