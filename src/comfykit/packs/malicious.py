"""Packs and Python packages that are known to do harm, each with its sources; none is installed.

The list is `assets/malicious_packs.toml`. A pack is known by its repository (also through a mirror or as
an archive of it), by its id in the registry, by the name of its folder, or by what its own
`pyproject.toml` says.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from comfykit.errors import PackError
from comfykit.packs.project import read_project

LIST = Path(__file__).parents[1] / "assets" / "malicious_packs.toml"

# github.com/OWNER/REPO wherever in an address it stands: behind a proxy's prefix, after git@, with .git.
_GITHUB = re.compile(
    r"(?:codeload\.)?github\.com(?::\d+)?[/:]([A-Za-z0-9-]+)/([A-Za-z0-9._-]+)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Harm:
    """What an entry of the list did, and where that is told."""

    what: str
    sources: tuple[str, ...]
    versions: frozenset[str] = frozenset()

    def counts_for(self, version: str | None) -> bool:
        """Whether a version is meant; without a list of versions every one is."""
        return not self.versions or version in self.versions


@dataclass(frozen=True, slots=True)
class _Known:
    repositories: dict[str, Harm]
    registry: dict[str, Harm]
    folders: dict[str, Harm]
    packages: dict[str, Harm]


def known_pack(
    *,
    urls: Iterable[str] = (),
    registry_id: str | None = None,
    folder: str | None = None,
    version: str | None = None,
) -> Harm | None:
    """The harm that a pack is known for; None for all others."""
    known = _known()
    found = [known.repositories.get(repository) for url in urls for repository in repositories(url)]
    if registry_id is not None:
        found.append(known.registry.get(_plain(registry_id)))
    if folder is not None:
        found.append(known.folders.get(folder.casefold()))
    return next((harm for harm in found if harm is not None and harm.counts_for(version)), None)


def known_package(name: str, version: str | None) -> Harm | None:
    """The harm that a release of a Python package is known for."""
    harm = _known().packages.get(_plain(name))
    return harm if harm is not None and harm.counts_for(version) else None


def refuse_pack(
    text: str,
    *,
    urls: Iterable[str] = (),
    registry_id: str | None = None,
    folder: str | None = None,
    version: str | None = None,
) -> None:
    """Raise `PackError` for a pack that is known to do harm; `text` is what a person calls it."""
    harm = known_pack(urls=urls, registry_id=registry_id, folder=folder, version=version)
    if harm is not None:
        raise _refusal(text, harm)


def refuse_tree(text: str, folder: Path) -> None:
    """Raise `PackError` where a pack's own files say that it is one that is known to do harm."""
    project = read_project(folder) if folder.is_dir() else None
    if project is not None:
        refuse_pack(text, urls=project.urls, registry_id=project.name, version=project.version)


def repositories(url: str) -> list[str]:
    """The GitHub repositories that an address leads to, as `github.com/owner/repo` in small letters."""
    return [f"github.com/{owner}/{name.removesuffix('.git')}".lower() for owner, name in _GITHUB.findall(url)]


def _refusal(text: str, harm: Harm) -> PackError:
    return PackError(
        f"{text} is refused: it {harm.what}",
        hint=f"read {harm.sources[0]}; if it was ever installed here, change passwords and keys",
        sources=harm.sources,
    )


@cache
def _known() -> _Known:
    document = tomllib.loads(LIST.read_text(encoding="utf-8"))
    known = _Known({}, {}, {}, {})
    for entry in document["packs"]:
        harm = _harm(entry)
        known.repositories.update((url.lower(), harm) for url in entry.get("repositories", ()))
        known.registry.update((_plain(name), harm) for name in entry.get("registry", ()))
        known.folders.update((name.casefold(), harm) for name in entry.get("folders", ()))
    known.packages.update((_plain(entry["name"]), _harm(entry)) for entry in document["packages"])
    return known


def _harm(entry: dict[str, object]) -> Harm:
    sources, versions = entry["sources"], entry.get("versions", [])
    assert isinstance(sources, list)
    assert isinstance(versions, list)
    return Harm(str(entry["what"]), tuple(sources), frozenset(versions))


def _plain(name: str) -> str:
    """A name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
