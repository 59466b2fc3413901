"""There is memory enough to load a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.catalogue import finding, fine
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding
from comfykit.doctor.units import GIB, size

# An SDXL checkpoint in half precision is 6.5 GiB, an SD 1.5 one in full precision 4 GiB.
COMFORTABLE = 7.5 * GIB  # 8 GB less what the firmware keeps
AVAILABLE = 4 * GIB


def check(facts: Facts) -> Iterator[Finding]:
    """Judge main memory."""
    memory = facts.memory
    if memory is None:
        return
    whose = " that the container allows" if memory.limited else ""
    said = f"{size(memory.total)}{whose}, {size(memory.available)} available"
    if memory.total < COMFORTABLE:
        wish = "give the container 8 GiB or more" if memory.limited else "8 GiB or more are needed for SDXL"
        yield finding("CK601", f"{said}: too little for SDXL", hint=wish)
    elif memory.available < AVAILABLE:
        yield finding("CK602", f"{said}: other programs use the rest")
    else:
        yield fine("memory", said)
