"""The packs that a home has: folders and single files in `custom_nodes/`, on or off, and their sources.

A pack is off when its name ends in `.disabled`, or when it lies in `custom_nodes/.disabled/`: ComfyUI and
its manager leave those alone too. Packs that comfykit did not bring are listed like the others; where
they are checkouts of git, that says where they came from.
"""

from __future__ import annotations

import configparser
import difflib
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from comfykit.errors import PackError
from comfykit.fetch.state_file import read_state
from comfykit.home import Home
from comfykit.packs.layout import packs_folder, state_folder

RECORDS = "installed.json"
PACKAGES = "packages.json"
DISABLED = ".disabled"
_NOT_PACKS = {"__pycache__"}
_NOT_CONTENT = {".git", "__pycache__"}


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a pack. `tree` is the hash of its files as they came, `ref` the branch or tag that was
    asked for, `sha256` the checksum of its archive.

    `signature` says, without reading them, whether the files are those that lay there when it was taken.
    `scripts` is whether a person let the pack's scripts run, `imports` what its import test said: "" is
    good, None is unknown, anything else is what was wrong.
    """

    kind: str
    url: str
    commit: str | None = None
    version: str | None = None
    tree: str = ""
    signature: str = ""
    scripts: bool = False
    imports: str | None = None
    installed: str = ""
    ref: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack in the home; `record` is None where nobody knows where it came from."""

    name: str
    path: Path
    enabled: bool
    record: Record | None = None

    @property
    def is_file(self) -> bool:
        """Whether the pack is a single Python file."""
        return self.name.endswith(".py")


def list_packs(home: Home) -> list[Pack]:
    """Every pack of a home, on or off, by name without regard to case."""
    records = read_records(home)
    found = [_with_record(pack, records) for pack in _packs_in(packs_folder(home))]
    return sorted(found, key=lambda pack: (pack.name.casefold(), pack.name))


def find_pack(packs: Sequence[Pack], name: str) -> Pack:
    """The pack of a name, whatever its case. Raises `PackError` that names the nearest."""
    wanted = name.removesuffix(DISABLED).casefold()
    matching = [
        pack for pack in packs if wanted in (pack.name.casefold(), pack.name.casefold().removesuffix(".py"))
    ]
    if matching:
        return next((pack for pack in matching if pack.enabled), matching[0])
    near = difflib.get_close_matches(wanted, [pack.name.casefold() for pack in packs], n=3, cutoff=0.5)
    named = [pack.name for pack in packs if pack.name.casefold() in near]
    hint = f"did you mean {' or '.join(named)}?" if named else "comfykit packs list shows those there are"
    raise PackError(f"no pack {name!r} is installed", hint=hint, name=name)


def path_of(home: Home, name: str, *, enabled: bool) -> Path:
    """Where a pack of a name lies when it is on or off."""
    return packs_folder(home) / (name if enabled else name + DISABLED)


def read_records(home: Home) -> dict[str, Record]:
    """What is known of packs, by name; entries that make no sense are left out."""
    found = {}
    for name, entry in read_state(state_folder(home) / RECORDS).items():
        record = parse_record(entry)
        if record is not None:
            found[name] = record
    return found


def scripts_allowed(home: Home) -> set[str]:
    """Packs whose `prestartup_script.py` may run, as a person said when they were installed."""
    return {name for name, record in read_records(home).items() if record.scripts}


def render_records(records: Mapping[str, Record]) -> str:
    """The text of the file that `read_records` reads."""
    return _rendered({name: asdict(record) for name, record in records.items()})


def read_packages(home: Home, prefix: Path) -> set[str]:
    """Names of the Python packages that were put into an environment for this home's packs."""
    entry = read_state(state_folder(home) / PACKAGES).get(str(prefix), {})
    names = entry.get("names", [])
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


def render_packages(home: Home, prefix: Path, names: set[str]) -> str:
    """The text of the file that `read_packages` reads, with the names of one environment changed."""
    entries = read_state(state_folder(home) / PACKAGES)
    entries[str(prefix)] = {"names": sorted(names)}
    return _rendered(entries)


def signature_of(path: Path) -> str:
    """A hash over names, sizes, times and inodes of a pack's files: the same while nobody touches them."""
    digest = hashlib.sha256()
    for name, status in _files(path, ""):
        facts = (
            name,
            stat.S_IFMT(status.st_mode),
            status.st_mode & 0o100,
            status.st_size,
            status.st_mtime_ns,
        )
        digest.update(repr((*facts, status.st_ino)).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _files(path: Path, below: str) -> Iterator[tuple[str, os.stat_result]]:
    """Files of a pack that count as its content, with their names below it."""
    if not path.is_dir() or path.is_symlink():
        yield below, path.lstat()
        return
    for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
        if entry.name in _NOT_CONTENT:
            continue
        name = f"{below}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _files(path / entry.name, name)
        else:
            yield name, entry.stat(follow_symlinks=False)


def _packs_in(folder: Path) -> Iterator[Pack]:
    for name in _entries(folder):
        if name == DISABLED:
            for hidden in _entries(folder / DISABLED):
                if _is_pack(folder / DISABLED / hidden, hidden):
                    yield Pack(hidden, folder / DISABLED / hidden, enabled=False)
        else:
            bare = name.removesuffix(DISABLED)
            if _is_pack(folder / name, bare):
                yield Pack(bare, folder / name, enabled=bare == name)


def _entries(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.is_dir() else []  # noqa: PTH208


def _is_pack(path: Path, name: str) -> bool:
    if not name or name.startswith(".") or name in _NOT_PACKS:
        return False
    return path.is_dir() or (name.endswith(".py") and path.is_file())


def _with_record(pack: Pack, records: Mapping[str, Record]) -> Pack:
    record = records.get(pack.name) or _of_checkout(pack.path)
    return Pack(pack.name, pack.path, pack.enabled, record)


def _of_checkout(path: Path) -> Record | None:
    """What a checkout of git says of itself, read from its files: no command of the checkout's is run."""
    git = path / ".git"
    config = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        config.read_string((git / "config").read_text(encoding="utf-8"))
        url = config.get('remote "origin"', "url")
        head = (git / "HEAD").read_text(encoding="ascii").strip()
        commit = _resolved(git, head.removeprefix("ref: ")) if head.startswith("ref: ") else head
    except (OSError, ValueError, configparser.Error):
        return None
    return Record("git", url, commit)


def _resolved(git: Path, ref: str) -> str | None:
    loose = git / ref
    if ".." not in Path(ref).parts and loose.is_file():
        return loose.read_text(encoding="ascii").strip()
    packed = git / "packed-refs"
    for line in packed.read_text(encoding="utf-8").splitlines() if packed.is_file() else ():
        commit, _, name = line.partition(" ")
        if name == ref:
            return commit
    return None


def parse_record(entry: Mapping[str, Any]) -> Record | None:
    """A record from what was written of it; None where it makes no sense."""
    texts, perhaps = (
        ("kind", "url", "tree", "signature", "installed"),
        ("commit", "version", "imports", "ref", "sha256"),
    )
    fields: dict[str, Any] = {key: entry.get(key) for key in (*texts, *perhaps, "scripts")}
    good = all(isinstance(fields[key], str) for key in texts) and isinstance(fields["scripts"], bool)
    good = good and all(isinstance(fields[key], str | None) for key in perhaps)
    return Record(**fields) if good else None


def _rendered(entries: Mapping[str, Mapping[str, Any]]) -> str:
    return json.dumps({"version": 1, "entries": entries}, indent=1, sort_keys=True) + "\n"
