"""The home's folder and the disks below it: whether they can be written, what fits, how they are attached."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil

from comfykit.home import Home


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk of one folder; `role` is what the folder is for ("models", "output", "temp", "packages").

    `free` counts bytes and `inodes` files that fit, None where the disk does not say.
    """

    role: str
    free: int | None = None
    total: int | None = None
    inodes: int | None = None
    type: str | None = None
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Storage:
    """The home on its disk.

    `folder` is the one that was tried: the home or, where it does not exist, the nearest one above it.
    `error` says why nothing can be written there. `free` counts bytes where the models go, None where
    the disk does not say.
    """

    home: Path = Path("~/comfykit")
    folder: Path = Path("~/comfykit")
    error: str | None = None
    free: int | None = None
    disks: tuple[Disk, ...] = ()

    @property
    def exists(self) -> bool:
        """Whether the home itself exists."""
        return self.folder == self.home


def look(home: Home) -> Storage:
    """Look at a home; one that does not exist is not made."""
    folder = _nearest(home.root)
    if folder == home.root:
        error = _try_to_write(folder) or (_try_to_write(home.models) if _is_folder(home.models) else None)
    else:
        error = None if os.access(folder, os.W_OK | os.X_OK) else f"{folder} is not yours to write"
    places = {
        "models": home.models,
        "output": home.root / "output",
        "packages": Path(os.__file__).parent,
        "temp": Path(tempfile.gettempdir()),
    }
    disks = tuple(look_at_disk(role, _nearest(place)) for role, place in places.items())
    return Storage(home.root, folder, error, disks[0].free, disks)


def look_at_disk(role: str, folder: Path) -> Disk:
    """What the disk of a folder says of itself."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return Disk(role)
    inodes, read_only = None, False
    if hasattr(os, "statvfs"):
        found = os.statvfs(folder)
        inodes = found.f_favail if found.f_files else None  # some file systems have no such limit
        read_only = bool(found.f_flag & os.ST_RDONLY)
    return Disk(role, usage.free, usage.total, inodes, _type(folder), read_only)


def _type(folder: Path) -> str | None:
    """File system of the mount that a folder lies on."""
    real = os.path.realpath(folder)
    try:
        mounts = psutil.disk_partitions(all=True)
    except (OSError, RuntimeError):
        return None
    above = [mount for mount in mounts if Path(real).is_relative_to(mount.mountpoint)]
    return max(above, key=lambda mount: len(mount.mountpoint)).fstype if above else None


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(place for place in (folder, *folder.parents) if _is_folder(place) or place == place.parent)


def _is_folder(place: Path) -> bool:
    # Path.is_dir() raises where a folder above is not ours to enter.
    return os.path.isdir(place)  # noqa: PTH112


def _try_to_write(folder: Path) -> str | None:
    """Write and remove a file: permissions alone do not show a read-only mount or a full disk."""
    try:
        with tempfile.TemporaryFile(prefix=".comfykit-doctor-", dir=folder) as file:
            file.write(b"comfykit")
            file.flush()
    except OSError as error:
        return f"{folder}: {error.strerror}"
    return None
