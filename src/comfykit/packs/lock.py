"""`comfykit.lock`: what a home has, so that another can be made the same.

TOML, in the home, sorted, one table per thing: packs with their commits and tree hashes, Python packages
with their versions and hashes, models with their checksums and sources. An entry may be written by hand
with less in it (a pack with its address alone); `comfykit sync` fills in the rest.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from comfykit.errors import PackError
from comfykit.home import Home

NAME = "comfykit.lock"
_VERSION = 1
_MAX_BYTES = 64 * 1024 * 1024
_HEAD = "# What this home has, written by comfykit; `comfykit sync` makes a home equal to it.\n"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class LockedPack:
    """A pack: where it came from and what its files are. `name` is its folder (or file) below custom_nodes.

    `kind` is that of the source: git, folder, zip or registry. `ref` is the branch or tag that was asked for,
    `sha256` the checksum of an archive.
    `tree` is empty where the entry was written by hand.
    """

    name: str
    kind: str
    url: str
    commit: str | None = None
    version: str | None = None
    tree: str = ""
    enabled: bool = True
    ref: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class LockedPackage:
    """A Python package that packs need; `version` is a version or, for a URL requirement, its address."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()
    wanted_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LockedModel:
    """A file below `models/`; `sha256` is None where nobody has hashed it yet."""

    path: str
    size: int | None = None
    sha256: str | None = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lock:
    """All of it. `python` is the version that packages were chosen for, `core` what must fit them.

    `indexes` are addresses besides the usual ones that packages may come from.
    """

    packs: tuple[LockedPack, ...] = ()
    packages: tuple[LockedPackage, ...] = ()
    models: tuple[LockedModel, ...] = ()
    python: str = ""
    core: Mapping[str, str] = field(default_factory=dict)
    indexes: tuple[str, ...] = ()


def lock_path(home: Home) -> Path:
    """Where a home's lock lies; it need not exist."""
    return home.root / NAME


def read_lock(home: Home) -> Lock | None:
    """The lock of a home, None where it has none. Raises `PackError` for one that cannot be used."""
    path = lock_path(home)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise PackError(f"{path} is larger than any lock", hint="restore it from where you keep it")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise PackError(f"{path} cannot be read ({error})", hint="make it a readable text file") from error
    return parse_lock(text, str(path))


def parse_lock(text: str, place: str = NAME) -> Lock:
    """A lock from its text; `place` is named in errors. Raises `PackError`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PackError(f"{place}: not TOML ({error})", hint="mend it or restore it") from error
    if document.get("version") != _VERSION:
        raise PackError(
            f"{place} is of version {document.get('version')!r}, and this comfykit reads version {_VERSION}",
            hint="use the comfykit that wrote it, or write it anew with comfykit packs lock",
        )
    reader = _Reader(place)
    lock = Lock(
        packs=tuple(reader.pack(table) for table in reader.tables(document, "pack")),
        packages=tuple(reader.package(table) for table in reader.tables(document, "package")),
        models=tuple(reader.model(table) for table in reader.tables(document, "model")),
        python=reader.text(document, "python", "the lock", default=""),
        core=reader.texts_by_name(document, "core"),
        indexes=reader.texts(document, "indexes", "the lock"),
    )
    reader.once([pack.name.casefold() for pack in lock.packs], "pack")
    reader.once([package.name for package in lock.packages], "package")
    reader.once([model.path for model in lock.models], "model")
    return lock


def render_lock(lock: Lock) -> str:
    """The text of a lock: the same lock gives the same text."""
    lines = [_HEAD, f"version = {_VERSION}"]
    lines += [f"python = {_quoted(lock.python)}"] if lock.python else []
    lines += [f"indexes = {_list(lock.indexes)}"] if lock.indexes else []
    if lock.core:
        lines += ["", "[core]", *(f"{_key(name)} = {_quoted(lock.core[name])}" for name in sorted(lock.core))]
    for pack in sorted(lock.packs, key=lambda pack: (pack.name.casefold(), pack.name)):
        lines += ["", "[[pack]]", f"name = {_quoted(pack.name)}", f"kind = {_quoted(pack.kind)}"]
        lines += [f"url = {_quoted(pack.url)}"]
        lines += [f"commit = {_quoted(pack.commit)}"] if pack.commit else []
        lines += [f"version = {_quoted(pack.version)}"] if pack.version else []
        lines += [f"ref = {_quoted(pack.ref)}"] if pack.ref else []
        lines += [f"sha256 = {_quoted(pack.sha256)}"] if pack.sha256 else []
        lines += [f"tree = {_quoted(pack.tree)}"] if pack.tree else []
        lines += [] if pack.enabled else ["enabled = false"]
    for package in sorted(lock.packages, key=lambda package: package.name):
        lines += ["", "[[package]]", f"name = {_quoted(package.name)}"]
        lines += [f"version = {_quoted(package.version)}"]
        lines += [f"wanted_by = {_list(sorted(package.wanted_by))}"] if package.wanted_by else []
        lines += _long_list("hashes", sorted(package.hashes))
    for model in sorted(lock.models, key=lambda model: model.path):
        lines += ["", "[[model]]", f"path = {_quoted(model.path)}"]
        lines += [] if model.size is None else [f"size = {model.size}"]
        lines += [f"sha256 = {_quoted(model.sha256)}"] if model.sha256 else []
        lines += [f"sources = {_list(model.sources)}"] if model.sources else []
    return "\n".join(lines) + "\n"


class _Reader:
    """Takes tables apart and says in a sentence which is wrong."""

    def __init__(self, place: str) -> None:
        self._place = place

    def tables(self, document: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
        found = document.get(name, [])
        if not (isinstance(found, list) and all(isinstance(table, dict) for table in found)):
            raise self._error(f"{name} should be tables", f"write [[{name}]]")
        return found

    def pack(self, table: Mapping[str, Any]) -> LockedPack:
        name = self.text(table, "name", "a pack")
        where = f"pack {name!r}"
        if name in (".", "..") or not name.isprintable() or set(name) & set("/\\\0") or name.startswith("-"):
            raise self._error(f"{where} is not the name of a folder in custom_nodes", "mend the lock")
        enabled = table.get("enabled", True)
        if not isinstance(enabled, bool):
            raise self._error(f"enabled of {where} is not true or false", "mend the lock")
        return LockedPack(
            name,
            self.text(table, "kind", where, default="git"),
            self.text(table, "url", where),
            self.text(table, "commit", where, default="") or None,
            self.text(table, "version", where, default="") or None,
            self.text(table, "tree", where, default=""),
            enabled,
            self.text(table, "ref", where, default="") or None,
            self.text(table, "sha256", where, default="") or None,
        )

    def package(self, table: Mapping[str, Any]) -> LockedPackage:
        name = self.text(table, "name", "a package")
        where = f"package {name!r}"
        return LockedPackage(
            name,
            self.text(table, "version", where),
            self.texts(table, "hashes", where),
            self.texts(table, "wanted_by", where),
        )

    def model(self, table: Mapping[str, Any]) -> LockedModel:
        path = self.text(table, "path", "a model")
        where = f"model {path!r}"
        parts = PurePosixPath(path).parts
        if len(parts) < 2 or path.startswith("/") or ".." in parts or not path.isprintable():
            raise self._error(f"{where} is not a path KIND/NAME below models/", "mend the lock")
        size, sha256 = table.get("size"), self.text(table, "sha256", where, default="") or None
        if not (size is None or (isinstance(size, int) and size >= 0)):
            raise self._error(f"size of {where} is not a number of bytes", "mend the lock")
        if sha256 is not None and not _SHA256.fullmatch(sha256):
            raise self._error(f"sha256 of {where} is not 64 hexadecimal digits", "mend the lock")
        return LockedModel(path, size, sha256, self.texts(table, "sources", where))

    def text(self, table: Mapping[str, Any], key: str, where: str, default: str | None = None) -> str:
        value = table.get(key, default)
        if not isinstance(value, str):
            problem = "is missing" if value is None else "is not a text"
            raise self._error(f"{key} of {where} {problem}", "mend the lock")
        return value

    def texts(self, table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
        value = table.get(key, [])
        if not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            raise self._error(f"{key} of {where} is not a list of texts", "mend the lock")
        return tuple(value)

    def texts_by_name(self, document: Mapping[str, Any], key: str) -> dict[str, str]:
        table = document.get(key, {})
        if not (isinstance(table, dict) and all(isinstance(value, str) for value in table.values())):
            raise self._error(f"[{key}] should have texts", "mend the lock")
        return table

    def once(self, names: Sequence[str], what: str) -> None:
        twice = (
            next((name for name in names if names.count(name) > 1), None)
            if len(set(names)) < len(names)
            else None
        )
        if twice is not None:
            raise self._error(f"{what} {twice!r} stands in it twice", "take one of the two out")

    def _error(self, message: str, hint: str) -> PackError:
        return PackError(f"{self._place}: {message}", hint=hint)


def _quoted(text: str) -> str:
    """A basic string of TOML, which is JSON's but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _list(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def _long_list(name: str, texts: Sequence[str]) -> list[str]:
    if len(texts) < 2:
        return [f"{name} = {_list(texts)}"] if texts else []
    return [f"{name} = [", *(f"    {_quoted(text)}," for text in texts), "]"]
