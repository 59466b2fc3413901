"""Whether what is to come fits onto the disks it goes to, before a byte of it has come."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from comfykit.errors import FetchError

# What is left free: file systems slow down and programs fall over on a disk that is full to the last byte.
MARGIN_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Space:
    """One file system: bytes that will be written to it and bytes that are free, files of unknown size.

    `folder` is one of the folders on it that files go to.
    """

    folder: Path
    needed: int
    free: int
    files: int
    unknown: int = 0

    @property
    def is_short(self) -> bool:
        """Whether it is known already that the files do not fit."""
        return self.needed > 0 and self.needed + MARGIN_BYTES > self.free


def spaces(wanted: Iterable[tuple[Path, int | None]]) -> list[Space]:
    """Needed and free bytes of every file system that files of these sizes would go to.

    What a partial file holds already is on the disk and is not needed again. Sizes may be None.
    """
    found: dict[int, Space] = {}
    for target, size in wanted:
        folder = _existing(target.parent)
        device = folder.stat().st_dev
        space = found.get(device) or Space(folder, 0, shutil.disk_usage(folder).free, 0)
        more = 0 if size is None else max(0, size - _allocated(target.with_name(f".{target.name}.part")))
        found[device] = Space(
            space.folder, space.needed + more, space.free, space.files + 1, space.unknown + (size is None)
        )
    return list(found.values())


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    folder = Path(os.path.realpath(folder))
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _allocated(path: Path) -> int:
    """Bytes of the disk that a file takes, which are fewer than its size where it has holes."""
    try:
        return path.lstat().st_blocks * 512
    except OSError:
        return 0


def check_room(target: Path, total: int | None, there: int) -> None:
    """Raise `FetchError` when what is missing of a file does not fit; `there` bytes are on the disk."""
    free = shutil.disk_usage(target.parent).free
    if total is not None and total - there > free:
        raise FetchError(
            f"{target.name} has {total} bytes, and {target.parent} has {free} free",
            hint="make room, or give --home a folder on a larger disk",
            needed=total - there,
            free=free,
        )
