"""Which pack offers which node class, without importing any.

The index is kept in the home and renewed, pack by pack, when a source file has another size or time. What a
pack offers is read from its source (`scan`); where it computes names, importing it once in a process of its
own tells more (`probing`), and `remember` keeps what came of that.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import sysconfig
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import comfykit
from comfykit.home import Home
from comfykit.packs.places import Place, enabled_packs
from comfykit.packs.probing import Probe
from comfykit.packs.scan import scan, source_files

VERSION = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a pack.

    `classes` are the names it offers. `complete` says that there are no others; `probed` that importing it
    told so, and then `failure` is why that went wrong, None where it went well, and `problems` has the
    classes that it offers and that cannot be used, with the reason.
    """

    pack: str
    signature: str
    classes: tuple[str, ...] = ()
    complete: bool = False
    probed: bool = False
    failure: str | None = None
    hint: str | None = None
    problems: Mapping[str, str] = field(default_factory=dict)
    packages: int = 0

    @property
    def is_current(self) -> bool:
        """Whether importing the pack again would tell the same: no Python package has come or gone since."""
        return self.probed and self.packages == _packages()


@dataclass(frozen=True, slots=True)
class ClassIndex:
    """The entries of a home's packs, in load order."""

    places: Mapping[str, Place]
    entries: Mapping[str, Entry]

    def providers(self, name: str) -> list[str]:
        """Packs that offer a class; the last is the one whose class is used, as it is loaded last."""
        return [pack for pack, entry in self.entries.items() if name in entry.classes]

    def unclear(self) -> list[str]:
        """Packs that may offer classes that nobody knows of yet."""
        return [pack for pack, entry in self.entries.items() if not entry.complete]


def class_index(home: Home) -> ClassIndex:
    """The index of a home; reads sources of packs that have changed, imports nothing."""
    places = {place.name: place for place in enabled_packs(home)}
    kept = _read(home)
    entries, changed = {}, kept.keys() != places.keys()
    for name, place in places.items():
        signature = _signature(place.path)
        entry = kept.get(name)
        if entry is None or entry.signature != signature:
            found = scan(place.path)
            entry, changed = Entry(name, signature, found.classes, found.complete), True
        entries[name] = entry
    if changed:
        _write(home, entries)
    return ClassIndex(places, entries)


def remember(home: Home, pack: str, probe: Probe) -> None:
    """Keep what importing a pack told.

    One that failed to be imported keeps the names that its source says.
    """
    index = class_index(home)
    place, entry = index.places.get(pack), index.entries.get(pack)
    if place is None or entry is None:
        return
    classes = probe.classes if probe.is_imported else entry.classes
    known = Entry(
        pack,
        entry.signature,
        tuple(dict.fromkeys([*classes, *probe.problems])),
        complete=probe.is_imported or entry.complete,
        probed=True,
        failure=probe.cause,
        hint=probe.hint,
        problems=dict(probe.problems),
        packages=_packages(),
    )
    _write(home, {**index.entries, pack: known})


def _packages() -> int:
    """Changes whenever a Python package is installed or removed."""
    try:
        return Path(sysconfig.get_path("purelib")).stat().st_mtime_ns
    except OSError:
        return 0


def _signature(pack: Path) -> str:
    """The same while no source file of a pack was touched and comfykit is the same."""
    digest = hashlib.blake2b(f"{VERSION} {comfykit.__version__}".encode(), digest_size=16)
    for path, status in source_files(pack):
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _file(home: Home) -> Path:
    return home.root / "user" / "comfykit" / "class_index.json"


def _read(home: Home) -> dict[str, Entry]:
    try:
        kept = json.loads(_file(home).read_bytes())["packs"]
        return {str(name): _entry(str(name), fields) for name, fields in kept.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # none yet, or nothing of ours
        return {}


def _entry(name: str, fields: Mapping[str, Any]) -> Entry:
    classes = tuple(str(one) for one in fields["classes"])
    return Entry(**{**fields, "pack": name, "classes": classes, "problems": dict(fields["problems"])})


def _write(home: Home, entries: Mapping[str, Entry]) -> None:
    """Whole or not at all; a home that cannot be written to goes without."""
    path = _file(home)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    text = json.dumps({"packs": {name: asdict(entry) for name, entry in entries.items()}}, indent=1)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(path)
