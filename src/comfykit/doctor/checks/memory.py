"""There is memory enough to load a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding, Status
from comfykit.doctor.units import GIB, size

# An SDXL checkpoint in half precision is 6.5 GiB, an SD 1.5 one in full precision 4 GiB.
COMFORTABLE = 8 * GIB
AVAILABLE = 4 * GIB


def check(facts: Facts) -> Iterator[Finding]:
    """Judge main memory."""
    memory = facts.memory
    whose = " that the container allows" if memory.limited else ""
    said = f"{size(memory.total)}{whose}, {size(memory.available)} available"
    if memory.total < COMFORTABLE:
        wish = "give the container 8 GiB or more" if memory.limited else "8 GiB or more are needed for SDXL"
        yield Finding("memory", Status.WARNING, f"{said}: too little for SDXL", wish)
    elif memory.available < AVAILABLE:
        yield Finding("memory", Status.WARNING, f"{said}: other programs use the rest", "close some of them")
    else:
        yield Finding("memory", Status.OK, said)
