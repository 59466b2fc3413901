"""Main memory, as much as the container leaves of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes in all and bytes free for use; `limited` where a container holds less than the machine."""

    total: int
    available: int
    limited: bool = False
    swap: int | None = None


def look() -> Memory:
    """The machine's memory, cut down to what the control groups of this process allow."""
    machine = psutil.virtual_memory()
    return limit(
        Memory(machine.total, machine.available, swap=psutil.swap_memory().total), CGROUPS, MEMBERSHIP
    )


def limit(machine: Memory, cgroups: Path, membership: Path) -> Memory:
    """Memory under the tightest control group, its own or any above it.

    `cgroups` is where the groups are mounted, `membership` the `/proc/PID/cgroup` of the process;
    versions 1 and 2 of the interface are read (Linux, Documentation/admin-guide/cgroup-v{1,2}).
    """
    total, available = machine.total, machine.available
    for allowed, used in _groups(cgroups, membership):
        total = min(total, allowed)
        available = min(available, max(allowed - used, 0))
    return Memory(total, available, limited=total < machine.total, swap=machine.swap)


def _groups(cgroups: Path, membership: Path) -> Iterator[tuple[int, int]]:
    """Limit and use of every limited memory group above the process, in bytes."""
    for line in _text(membership).splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers == "":
            files = ("memory.max", "memory.current", "inactive_file")
            root = cgroups
        elif "memory" in controllers.split(","):
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            root = cgroups / "memory"
        else:
            continue
        # Inside a container the name may be that of the host, whose folders are not mounted: the root is.
        own = root / name.strip("/")
        for group in (own, *own.parents):
            if group.is_relative_to(root):
                yield from _group(group, *files)


def _group(group: Path, limit_file: str, use_file: str, reclaimable: str) -> Iterator[tuple[int, int]]:
    """Limit and use of one group, if it has a limit; page cache nobody needs does not count as used."""
    allowed, used = _text(group / limit_file).strip(), _text(group / use_file).strip()
    if not (allowed.isdigit() and used.isdigit()):  # "max" is no limit
        return
    fields = (line.split() for line in _text(group / "memory.stat").splitlines())
    cache = next((int(field[1]) for field in fields if field[0] == reclaimable), 0)
    yield int(allowed), int(used) - cache


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
