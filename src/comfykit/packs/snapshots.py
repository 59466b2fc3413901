"""What a home was before each change of its packs.

A snapshot is a folder with a number: `snapshot.json` says which packs there were and which Python packages,
and `kept/` has what the change replaced or took away, moved there whole. What a later change replaced lies in
the snapshot of that one, so that the first that has a pack, from a snapshot on, has it as it was.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from comfykit.errors import PackError
from comfykit.home import Home
from comfykit.packs.installed import DISABLED, Pack, Record, parse_record
from comfykit.packs.layout import packs_folder, state_folder

FILE = "snapshot.json"
KEPT = "kept"
MOST = 10
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Was:
    """A pack as it was."""

    name: str
    enabled: bool
    record: Record | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A home before `what` was done to it; `packages` are those of the environment of `python`.

    `ours` are the packages that were put there for packs, `lock` is the text of the home's lock.
    """

    number: int
    what: str
    taken: str
    packs: tuple[Was, ...]
    python: str
    packages: Mapping[str, str] = field(default_factory=dict)
    ours: tuple[str, ...] = ()
    lock: str | None = None


def take_snapshot(
    folder: Path,
    what: str,
    packs: Sequence[Pack],
    *,
    python: Path,
    packages: Mapping[str, str],
    ours: set[str],
    lock: str | None,
) -> None:
    """Write down what a home has into the folder that a change keeps things in."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "version": _VERSION,
        "what": what,
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "packs": [
            {"name": pack.name, "enabled": pack.enabled, "record": pack.record and asdict(pack.record)}
            for pack in packs
        ],
        "python": str(python),
        "packages": dict(packages),
        "ours": sorted(ours),
        "lock": lock,
    }
    (folder / FILE).write_text(json.dumps(document, indent=1, sort_keys=True), encoding="utf-8")


def list_snapshots(home: Home) -> list[Snapshot]:
    """The snapshots of a home, oldest first; folders that hold none are left out."""
    found = (_read(path) for path in _folders(home))
    return [snapshot for snapshot in found if snapshot is not None]


def find_snapshot(home: Home, number: int) -> Snapshot:
    """A snapshot by its number. Raises `PackError` that names those there are."""
    snapshots = list_snapshots(home)
    for snapshot in snapshots:
        if snapshot.number == number:
            return snapshot
    numbers = ", ".join(str(snapshot.number) for snapshot in snapshots)
    hint = f"there are {numbers}" if numbers else "comfykit takes one before each change of the packs"
    raise PackError(f"there is no snapshot {number}", hint=hint)


def next_number(home: Home) -> int:
    """The number that the next snapshot gets."""
    return max((int(path.name) for path in _folders(home)), default=0) + 1


def kept_pack(home: Home, since: int, name: str) -> Path | None:
    """A pack as it was at a snapshot, if a change since then replaced it; None where none did."""
    for folder in _folders(home):
        if int(folder.name) < since:
            continue
        below = folder / KEPT / packs_folder(home).name
        for place in (below / name, below / (name + DISABLED), below / DISABLED / name):
            if place.exists():
                return place
    return None


def kept_models(home: Home, since: int) -> dict[PurePosixPath, Path]:
    """Files of models that changes since a snapshot took away, by their path below `models/`."""
    found: dict[PurePosixPath, Path] = {}
    for folder in _folders(home):
        below = folder / KEPT / home.models.name
        if int(folder.name) >= since:
            for path in sorted(path for path in below.rglob("*") if path.is_file()):
                found.setdefault(PurePosixPath(path.relative_to(below).as_posix()), path)
    return found


def prune_snapshots(home: Home, *, most: int = MOST) -> None:
    """Delete the oldest, so that as many are left."""
    for path in _folders(home)[:-most]:
        shutil.rmtree(path, ignore_errors=True)


def _folders(home: Home) -> list[Path]:
    folder = state_folder(home) / "snapshots"
    numbered = (path for path in folder.iterdir() if path.name.isdecimal()) if folder.is_dir() else ()
    return sorted(numbered, key=lambda path: int(path.name))


def _read(folder: Path) -> Snapshot | None:
    try:
        document = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if document["version"] != _VERSION:
            return None
        return Snapshot(
            int(folder.name),
            str(document["what"]),
            str(document["taken"]),
            tuple(_was(entry) for entry in document["packs"]),
            str(document["python"]),
            {str(name): str(version) for name, version in document["packages"].items()},
            tuple(map(str, document["ours"])),
            None if document["lock"] is None else str(document["lock"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _was(entry: Mapping[str, Any]) -> Was:
    record = None if entry["record"] is None else parse_record(entry["record"])
    return Was(str(entry["name"]), bool(entry["enabled"]), record)
