"""Installed packages against their own records: what is gone or cut short, remains, unmet requirements."""

from __future__ import annotations

import csv
import os
import re
import sysconfig
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from comfykit.doctor.requirements import LIBRARIES
from comfykit.doctor.sources.runtime import names_that_matter

SECONDS = 1.2

# Written by installers and by Python itself, or taken out of small images: no loss where they are gone.
_NO_LOSS = re.compile(
    r"__pycache__/|\.pyc$|\.dist-info/|^\.\./|(^|/)tests?/|(^|/)(docs?|examples|include)/|\.(pyi|md|rst|txt|typed)$"
)
_CODE = re.compile(r"\.(py|pyd|dll|dylib|so(\.[0-9]+)*)$")


@dataclass(frozen=True, slots=True)
class Damage:
    """A package some of whose files are gone or of another size; `first` is one of them."""

    name: str
    version: str
    files: int
    first: str


@dataclass(frozen=True, slots=True)
class Remains:
    """What is left of a package that was half removed: a folder, and the package it belonged to."""

    name: str
    folder: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Unmet:
    """A requirement of an installed package that what is installed does not meet."""

    package: str
    requirement: str
    installed: str | None


@dataclass(frozen=True, slots=True)
class Installation:
    """What is wrong with the packages in a folder; `unread` counts records that time did not allow."""

    folder: Path | None = None
    damaged: tuple[Damage, ...] = ()
    remains: tuple[Remains, ...] = ()
    twice: tuple[str, ...] = ()
    unmet: tuple[Unmet, ...] = ()
    unread: int = 0


def look(folder: Path | None = None, seconds: float = SECONDS) -> Installation:
    """Compare what is installed in a `site-packages` folder with its records; those that matter go first."""
    folder = folder or Path(sysconfig.get_path("purelib"))
    deadline = time.monotonic() + seconds
    infos = sorted(folder.glob("*.dist-info"), key=_importance)
    damaged: list[Damage] = []
    unread = 0
    for info in infos:
        if time.monotonic() > deadline:
            unread += 1
            continue
        damaged.extend(_damage(info))
    names = [_name(info) for info in infos if (info / "METADATA").is_file()]
    return Installation(
        folder,
        tuple(damaged),
        tuple(_remains(folder, infos)),
        tuple(sorted({name for name in names if names.count(name) > 1})),
        tuple(_unmet(folder)),
        unread,
    )


def _importance(info: Path) -> tuple[bool, str]:
    return _name(info) not in (*LIBRARIES, *names_that_matter()), info.name


def _name(info: Path) -> str:
    return re.sub(r"[-_.]+", "-", info.name.split("-", maxsplit=1)[0]).lower()


def _version(info: Path) -> str:
    return info.name.removesuffix(".dist-info").partition("-")[2]


def _damage(info: Path) -> Iterator[Damage]:
    """Files of a record that are gone, or of another size, outside what Python writes itself."""
    try:
        with (info / "RECORD").open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if len(row) == 3]
    except (OSError, UnicodeDecodeError, csv.Error):
        return
    wrong = [
        path for path, _, size in rows if not _NO_LOSS.search(path) and _differs(info.parent, path, size)
    ]
    if wrong:
        yield Damage(_name(info), _version(info), len(wrong), wrong[0])


def _differs(folder: Path, path: str, size: str) -> bool:
    try:
        found = os.stat(os.path.join(folder, path)).st_size  # noqa: PTH116, PTH118  (tens of thousands of them)
    except OSError:
        return True
    return size.isdigit() and found != int(size) and _CODE.search(path) is not None


def _remains(folder: Path, infos: Iterable[Path]) -> Iterator[Remains]:
    """Folders that an interrupted removal left, and metadata without a name or a record."""
    try:
        entries = sorted(entry.name for entry in os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.startswith("~"):  # pip renames what it removes: torch becomes ~orch
            yield Remains(entry.lstrip("~").split("-", maxsplit=1)[0], entry)
    for info in infos:
        if not (info / "METADATA").is_file() or not (info / "RECORD").is_file():
            yield Remains(_name(info), info.name, _version(info))
    known = {_name(info) for info in infos}
    for name in ("torch", "torchvision", "numpy", "transformers", "safetensors"):
        package = folder / name
        if name not in known and package.is_dir() and not package.is_symlink() and any(package.glob("*.*")):
            yield Remains(name, name)


def _head(metadata: Path) -> dict[str, list[str]]:
    """The fields of a METADATA file. Its description, most of the file, is not read."""
    found: dict[str, list[str]] = {}
    try:
        with metadata.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                if not line.strip():
                    break
                name, colon, value = line.partition(":")
                if colon and not line[0].isspace():
                    found.setdefault(name, []).append(value.strip())
    except OSError:
        return {}
    return found


def _unmet(folder: Path) -> Iterator[Unmet]:
    """Requirements that are not met, of the packages that rules are about."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.version import InvalidVersion

    versions: dict[str, str] = {}
    requiring: list[tuple[str, list[str]]] = []
    matters = set(names_that_matter())
    for info in sorted(folder.glob("*.dist-info")):
        head = _head(info / "METADATA")
        if not (head.get("Name") and head.get("Version")):  # half removed: said elsewhere
            continue
        name = re.sub(r"[-_.]+", "-", head["Name"][0]).lower()
        versions.setdefault(name, head["Version"][0])
        if name in matters:
            requiring.append((name, head.get("Requires-Dist", [])))
    for name, lines in requiring:
        for line in lines:
            try:
                requirement = Requirement(line)
                if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
                    continue
                wanted = re.sub(r"[-_.]+", "-", requirement.name).lower()
                has = versions.get(wanted)
                if has is None or not requirement.specifier.contains(has, prereleases=True):
                    yield Unmet(name, f"{wanted}{requirement.specifier}", has)
            except (InvalidRequirement, InvalidVersion):
                continue
