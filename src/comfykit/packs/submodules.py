"""Submodules of a checked-out commit: those that it records and that its `.gitmodules` declares.

`.gitmodules` is a stranger's: of it, a path and an address are used, and both are judged. A submodule may
not be asked for over a protocol that the pack itself was not fetched with, other than https and ssh.
"""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from comfykit.errors import PackError
from comfykit.packs.command import run_git
from comfykit.packs.limits import PackLimits
from comfykit.packs.repository import Repository, read_repository

_LIST = ".gitmodules"
_FILE, _GITLINK = ("100644", "100755"), "160000"


@dataclass(frozen=True, slots=True)
class Submodule:
    """A repository at one commit, and the empty folder that it belongs into."""

    path: str
    place: Path
    repository: Repository
    commit: str


@dataclass(frozen=True, slots=True)
class Submodules:
    """What a commit records: submodules with an address, and paths without one."""

    declared: tuple[Submodule, ...] = ()
    undeclared: tuple[str, ...] = ()


def read_submodules(parent: Repository, folder: Path, limits: PackLimits) -> Submodules:
    """The submodules of what is checked out in `folder`; raises `PackError` for one that is not accepted."""
    commits, has_list = _recorded(folder, limits)
    if not commits:
        return Submodules()
    addresses = _declared(folder, limits) if has_list else {}
    declared = [
        Submodule(path, place_of(path, folder), repository_of(path, addresses[path], parent), commit)
        for path, commit in commits.items()
        if path in addresses
    ]
    return Submodules(tuple(declared), tuple(path for path in commits if path not in addresses))


def _recorded(folder: Path, limits: PackLimits) -> tuple[dict[str, str], bool]:
    """Commits of submodules by their path, and whether there is a `.gitmodules` that is a file."""
    commits, has_list = {}, False
    for line in run_git(("ls-tree", "-r", "-z", "HEAD"), folder, limits).split("\0"):
        about, _, path = line.partition("\t")
        mode = about.partition(" ")[0]
        if mode == _GITLINK:
            commits[path] = about.rpartition(" ")[2]
        elif path == _LIST:
            if mode not in _FILE:
                raise PackError(f"{_LIST} is a link, and submodules are not looked for behind it")
            has_list = True
    return commits, has_list


def _declared(folder: Path, limits: PackLimits) -> dict[str, str]:
    """Addresses of submodules by their path."""
    arguments = ("config", "--blob", f"HEAD:{_LIST}", "--no-includes", "-z", "--list")
    found: dict[str, dict[str, str]] = {}
    for line in run_git(arguments, folder, limits).split("\0"):
        key, _, value = line.partition("\n")
        section, _, setting = key.rpartition(".")
        if section.startswith("submodule."):
            found.setdefault(section, {})[setting] = value
    return {entry["path"]: entry["url"] for entry in found.values() if {"path", "url"} <= set(entry)}


def place_of(path: str, folder: Path) -> Path:
    """The folder of a submodule; raises `PackError` where its path leads out, or through a link."""
    parts = PurePosixPath(path).parts
    odd = not path.isprintable() or "\\" in path or path.startswith(("/", "-"))
    if odd or not parts or any(part == ".." or part.lower() == ".git" for part in parts):
        raise PackError(f"the path of the submodule {path!r} is not accepted")
    place = folder.joinpath(*parts)
    if os.path.realpath(place) != os.path.join(os.path.realpath(folder), *parts):  # noqa: PTH118
        raise PackError(f"the path of the submodule {path!r} leads through a link")
    if not place.is_dir() or any(place.iterdir()):
        raise PackError(f"something lies already where the submodule {path!r} belongs")
    return place


def repository_of(path: str, address: str, parent: Repository) -> Repository:
    """The repository at an address of `.gitmodules`, which may be relative to that of its parent."""
    try:
        repository = read_repository(_absolute(address, parent.url))
    except PackError as error:
        raise PackError(f"submodule {path}: {error}", hint=error.hint) from error
    same = (repository.scheme, repository.host) == (parent.scheme, parent.host)
    if repository.scheme not in ("https", "ssh") and not same:
        raise PackError(
            f"submodule {path}: {repository.scheme}:// is not accepted from a pack",
            hint="clone the pack yourself and give its folder, if you trust it",
        )
    return repository


def _absolute(address: str, parent: str) -> str:
    """An address that starts with `./` or `../`, as git reads it: relative to the parent's."""
    if not address.startswith(("./", "../")):
        return address
    if "://" in parent:
        start = parent[: len(parent) - len(urlsplit(parent).path)]
        path = urlsplit(parent).path
    else:
        start, colon, path = parent.partition(":")
        start, path = start + colon, f"/{path}"
    steps = posixpath.normpath(f"{path}/{address}")
    return start + (steps if "://" in parent else steps.lstrip("/"))
