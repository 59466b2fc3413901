"""How much a pack may bring, and how long that may take, in one place: tests make the numbers small."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class PackLimits:
    """Seconds, bytes and numbers of files. The largest packs in use have some hundred megabytes."""

    git_seconds: float = 900.0  # for one command of git
    silence_seconds: int = 30  # that a server may send next to nothing
    bytes: int = 4096 * MIB  # of a pack on the disk, with its history
    files: int = 100_000
    submodules: int = 32
    submodule_depth: int = 4

    archive_bytes: int = 2048 * MIB  # of a zip
    index_bytes: int = 16 * MIB  # of its list of files
    # A zip may not grow by more than `ratio` where it unpacks to more than `free_bytes`.
    ratio: int = 100
    free_bytes: int = 64 * MIB
    unpack_seconds: float = 300.0


USUAL = PackLimits()
