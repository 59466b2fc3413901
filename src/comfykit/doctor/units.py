"""Sizes in words."""

from __future__ import annotations

MIB = 2**20
GIB = 2**30


def size(count: int) -> str:
    """A number of bytes with one decimal and the unit that suits it, up to GiB: "23.5 GiB", "512 B"."""
    if count < 2**10:
        return f"{count} B"
    for unit, scale in (("KiB", 2**10), ("MiB", MIB)):
        if count < scale * 2**10:
            return f"{count / scale:.1f} {unit}"
    return f"{count / GIB:.1f} GiB"
