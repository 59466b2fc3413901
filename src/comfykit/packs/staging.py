"""Bringing a pack, whatever its source, into a folder beside the packs that are in use."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from comfykit.errors import PackError
from comfykit.events import Reporter, silent
from comfykit.fetch.mirrors import without_secrets
from comfykit.packs import spec as kinds
from comfykit.packs.archive import check_size, unpack
from comfykit.packs.download import Downloads, fetch_archive, open_downloads
from comfykit.packs.git import Fetching, fetch_repository
from comfykit.packs.limits import USUAL, PackLimits
from comfykit.packs.malicious import refuse_pack, refuse_tree
from comfykit.packs.names import check_name
from comfykit.packs.project import read_project
from comfykit.packs.registry import Registry
from comfykit.packs.repository import is_commit, read_repository
from comfykit.packs.spec import Spec, name_of_archive
from comfykit.packs.tree import clean_tree, copy_tree, file_hash, tree_hash
from comfykit.settings import Settings

# Versions that mean a repository rather than an archive of the registry, besides full names of commits.
_NIGHTLY, _LATEST = "nightly", "latest"
_DOWNLOAD, _UNPACKED = ".download.zip", ".unpacked"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a pack came from, enough to bring the same again.

    `url` is a repository's address, an archive's address or path, a folder's path, or the address that the
    registry gave; `name` is the folder below `custom_nodes/` (for the registry, also the id). `ref` is
    the branch, tag or commit that was asked for, None for the main branch and the newest version.
    """

    kind: str
    url: str
    commit: str | None
    version: str | None
    name: str
    ref: str | None = None
    sha256: str | None = None

    @property
    def pinned(self) -> Spec:
        """What brings exactly this again."""
        if self.kind == kinds.REGISTRY:
            return Spec(self.kind, self.name, self.version, self.name, self.sha256)
        return Spec(self.kind, self.url, self.commit, self.name, self.sha256)

    @property
    def newest(self) -> Spec:
        """What brings the newest of what was asked for: of its branch, or the registry's newest version."""
        if self.kind == kinds.REGISTRY:
            return Spec(self.kind, self.name, None, self.name)
        return Spec(self.kind, self.url, None if is_commit(self.ref) else self.ref, self.name)


@dataclass(frozen=True, slots=True)
class Staged:
    """A pack that is ready to be put in place: a folder, or a single file."""

    folder: Path
    origin: Origin
    tree: str


@dataclass(frozen=True, slots=True)
class _Errand:
    """What bringing one pack takes; `place` is a folder that is its own."""

    spec: Spec
    place: Path
    settings: Settings
    downloads: Downloads
    fetching: Fetching


def stage(
    spec: Spec,
    into: Path,
    settings: Settings,
    reporter: Reporter = silent,
    *,
    environment: Mapping[str, str] | None = None,
    cancel: threading.Event | None = None,
    limits: PackLimits = USUAL,
) -> Staged:
    """Bring a pack into the folder `into`, where nothing is run and nobody finds it yet.

    `environment` names mirrors and tokens (`os.environ` unless it is given). May be called from several
    threads. Raises `PackError` for what cannot be had, is no pack, or is known to do harm, and
    `Interrupted` once `cancel` is set; nothing is left in the folder then.
    """
    _refuse(spec)
    environment = os.environ if environment is None else environment
    downloads = replace(open_downloads(settings, environment, reporter, cancel), limits=limits)
    fetching = Fetching(downloads.guide.rules, limits, reporter, cancel)
    place = into / f".{os.urandom(6).hex()}"
    place.mkdir(parents=True)
    try:
        brought, origin = _bring(_Errand(spec, place, settings, downloads, fetching))
        clean_tree(brought)
        _check_pack(brought, spec)
        refuse_pack(spec.text, folder=origin.name)
        refuse_tree(spec.text, brought)
        return _settle(brought, origin, into)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _refuse(spec: Spec) -> None:
    version = spec.ref if spec.kind == kinds.REGISTRY else None
    registry_id = spec.url if spec.kind == kinds.REGISTRY else None
    refuse_pack(spec.text, urls=[spec.url], registry_id=registry_id, folder=spec.name, version=version)


def _bring(errand: _Errand) -> tuple[Path, Origin]:
    match errand.spec.kind:
        case kinds.GIT:
            return _from_git(errand)
        case kinds.FOLDER:
            return _from_folder(errand)
        case kinds.ZIP:
            return _from_zip(errand)
    return _from_registry(errand)


def _from_git(errand: _Errand) -> tuple[Path, Origin]:
    spec = errand.spec
    repository = read_repository(spec.url)
    name = check_name(spec.name or repository.name)
    folder = errand.place / name
    commit = fetch_repository(repository, spec.ref, folder, errand.fetching)
    return folder, Origin(spec.kind, repository.url, commit, read_project(folder).version, name, spec.ref)


def _from_folder(errand: _Errand) -> tuple[Path, Origin]:
    spec, source = errand.spec, Path(errand.spec.url)
    name = check_name(spec.name or source.name)
    if errand.place.resolve().is_relative_to(source.resolve()):
        raise PackError(f"{source} holds the home that it would be installed into")
    target = errand.place / name
    try:
        copy_tree(source, target)
    except (OSError, shutil.Error) as error:
        raise PackError(f"{source} cannot be copied ({error})") from error
    version = read_project(target).version if target.is_dir() else None
    return target, Origin(spec.kind, spec.url, None, version, name)


def _from_zip(errand: _Errand) -> tuple[Path, Origin]:
    spec = errand.spec
    here = errand.place / _DOWNLOAD
    title = spec.name or name_of_archive(spec.url)
    if "://" in spec.url:
        sha256 = fetch_archive(spec.url, spec.sha256, title, here, errand.downloads)
    else:
        sha256 = _copy_archive(Path(spec.url), here, spec.sha256, errand)
    folder = _unpack(here, f"{title}.zip" if "://" in spec.url else spec.url, errand)
    name = spec.name or _name(folder, title)
    url = without_secrets(spec.url) if "://" in spec.url else spec.url
    return folder, Origin(spec.kind, url, None, read_project(folder).version, name, sha256=sha256)


def _from_registry(errand: _Errand) -> tuple[Path, Origin]:
    spec = errand.spec
    registry = Registry(errand.settings.registry, errand.downloads.guide, errand.downloads.reporter)
    name = check_name(spec.name or spec.url)
    if spec.ref == _NIGHTLY or is_commit(spec.ref):
        repository = read_repository(registry.repository(spec.url))
        commit = None if spec.ref == _NIGHTLY else spec.ref
        wanted = Spec(kinds.GIT, repository.url, commit, name)
        _refuse(wanted)
        return _from_git(replace(errand, spec=wanted))
    release = registry.release(spec.url, None if spec.ref == _LATEST else spec.ref)
    refuse_pack(spec.text, registry_id=release.id, version=release.version)
    here = errand.place / _DOWNLOAD
    sha256 = fetch_archive(release.url, spec.sha256, name, here, errand.downloads)
    folder = _unpack(here, f"{release.id}@{release.version}", errand)
    return folder, Origin(spec.kind, release.url, None, release.version, name, spec.ref, sha256)


def _copy_archive(source: Path, here: Path, sha256: str | None, errand: _Errand) -> str:
    """Take an archive that is on this machine; nobody can change the copy while it is unpacked."""
    try:
        check_size(source.stat().st_size, str(source), errand.downloads.limits)
        shutil.copyfile(source, here)
    except OSError as error:
        raise PackError(f"{source} cannot be read: {error.strerror}") from error
    found = file_hash(here)
    if sha256 is not None and found != sha256:
        raise PackError(f"{source} has sha-256 {found}, and {sha256} was wanted")
    return found


def _unpack(archive: Path, what: str, errand: _Errand) -> Path:
    folder = unpack(archive, errand.place / _UNPACKED, what, errand.downloads.limits)
    archive.unlink()
    return folder


def _name(folder: Path, title: str) -> str:
    """The name of an archive's pack: that of its only folder, else the archive's own."""
    own = folder.name if folder.name != _UNPACKED else title
    return check_name(name_of_archive(f"{own}.zip"))


def _check_pack(brought: Path, spec: Spec) -> None:
    """Raise `PackError` for a folder that ComfyUI could not load as a pack."""
    if brought.is_file() or (brought / "__init__.py").is_file():
        return
    alone = sorted(path.name for path in brought.glob("*.py"))
    hint = f"if {alone[0]} is the pack, download it and give its path" if alone else "look at the address"
    raise PackError(f"{spec.text} is no pack of custom nodes: it has no __init__.py", hint=hint)


def _settle(brought: Path, origin: Origin, into: Path) -> Staged:
    folder = into / origin.name
    staged = Staged(folder, origin, tree_hash(brought))
    if os.path.lexists(folder):
        raise PackError(f"two packs would be called {origin.name}", hint="leave one of them out")
    brought.rename(folder)
    return staged
