"""The lists of models that ship with comfykit, and which of them knows a model.

In a wheel they lie in the package; in a checkout, where the package is used from `src/`, they lie in
`manifests/` and `download.txt` at its root.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.parse import parse
from comfykit.home import canonical_kind

_PACKAGE = Path(__file__).parents[1]


@cache
def shipped() -> Mapping[str, Path]:
    """Shipped lists by the name a person calls them: `download.txt`, `manifests/sd15.txt`, ..."""
    packed = _PACKAGE / "assets" / "manifests"
    if packed.is_dir():
        folder, first = packed, packed / "download.txt"
    else:
        root = _PACKAGE.parents[1]
        folder, first = root / "manifests", root / "download.txt"
    lists = {f"manifests/{path.name}": path for path in sorted(folder.glob("*.txt")) if path != first}
    return {"download.txt": first, **lists} if first.is_file() else lists


def entry_for(kind: str, name: str) -> ManifestEntry | None:
    """The shipped entry of a model; its `file` is the list it stands in. None where no list has it.

    `kind` may be an old name (`clip`), `name` is the path below the kind's folder. A list of its own
    is preferred to `download.txt`, as it may know a checksum.
    """
    return _entries().get((canonical_kind(kind), name))


def how_to_fetch(kind: str, name: str) -> str | None:
    """The command that fetches a model, where a shipped list knows it."""
    entry = entry_for(kind, name)
    if entry is None:
        return None
    return f"comfykit install-models {shlex.quote(entry.file)} --only {shlex.quote(entry.name)}"


@cache
def _entries() -> Mapping[tuple[str, str], ManifestEntry]:
    found: dict[tuple[str, str], ManifestEntry] = {}
    for file, path in reversed(list(shipped().items())):
        for entry in parse(path.read_bytes(), file).entries:
            found.setdefault((canonical_kind(entry.kind), entry.name), entry)
    return found
