"""The home's folder: whether it is there, can be written, and how much fits."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from comfykit.home import Home


@dataclass(frozen=True, slots=True)
class Storage:
    """The home on its disk.

    `folder` is the one that was tried: the home or, where it does not exist, the nearest one above it.
    `error` says why nothing can be written there. `free` counts bytes where the models go, None where
    the disk does not say.
    """

    home: Path
    folder: Path
    error: str | None
    free: int | None

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
    return Storage(home.root, folder, error, _free(_nearest(home.models)))


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


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
