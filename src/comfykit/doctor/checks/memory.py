"""There is memory enough to load a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.catalogue import finding, fine
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding
from comfykit.doctor.sources.memory import Memory
from comfykit.doctor.units import GIB, MIB, size

# An SDXL checkpoint in half precision is 6.5 GiB, an SD 1.5 one in full precision 4 GiB.
COMFORTABLE = 7.5 * GIB  # 8 GB less what the firmware keeps
AVAILABLE = 4 * GIB
# Below this, a checkpoint that is converted while it loads may not fit for a moment.
NEEDS_SWAP = 15.5 * GIB
SHARED = 128 * MIB  # Docker gives 64


def check(facts: Facts) -> Iterator[Finding]:
    """Judge main memory, and what a container shares between processes."""
    container = facts.container
    if container is not None and container.shm is not None and container.shm < SHARED:
        yield finding("CK608", f"/dev/shm of this container has {size(container.shm)}")
    if facts.memory is not None:
        yield from _main(facts, facts.memory)


def _main(facts: Facts, memory: Memory) -> Iterator[Finding]:
    whose = " that the container allows" if memory.limited else ""
    said = f"{size(memory.total)}{whose}, {size(memory.available)} available"
    if memory.total < COMFORTABLE:
        wish = "give the container 8 GiB or more" if memory.limited else "8 GiB or more are needed for SDXL"
        yield finding("CK601", f"{said}: too little for SDXL", hint=wish)
    elif memory.available < AVAILABLE:
        yield finding("CK602", f"{said}: other programs use the rest")
    else:
        yield fine("memory", said)
    # Swap below a container is its host's, and macOS makes it as it is needed.
    if (
        memory.swap == 0
        and memory.total < NEEDS_SWAP
        and not memory.limited
        and facts.container is None
        and facts.system.os != "macos"
    ):
        hint = None if facts.system.os == "linux" else "let the system manage the size of the paging file"
        yield finding("CK609", f"{size(memory.total)} of memory, and no swap", hint=hint)
