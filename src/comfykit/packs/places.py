"""Which packs a home loads, in the order in which they are loaded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from comfykit.home import Home

DISABLED = ".disabled"


@dataclass(frozen=True, slots=True)
class Place:
    """A pack that is on: its name is that of its folder, or of its file without the suffix."""

    name: str
    path: Path


def enabled_packs(home: Home) -> list[Place]:
    """Folders and single files in `custom_nodes/` that are not off, in a stable order.

    Off is what ends in `.disabled` or begins with a dot. Where the home's `extra_model_paths.yaml` names
    further folders for `custom_nodes`, their packs come after the home's own.
    """
    found = []
    for folder in (home.root / "custom_nodes", *home.extra.get("custom_nodes", ())):
        for entry in _entries(folder):
            name = entry.name
            if name.startswith((".", "__pycache__")) or name.endswith(DISABLED):
                continue
            if entry.is_dir():
                found.append(Place(name, folder / name))
            elif name.endswith(".py"):
                found.append(Place(name.removesuffix(".py"), folder / name))
    return found


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return sorted(os.scandir(folder), key=lambda entry: (entry.name.casefold(), entry.name))
    except OSError:  # a home need not have one
        return []
