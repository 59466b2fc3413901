"""What a pack's `pyproject.toml` says of it, as far as it can be read."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Project:
    """Name (the registry's id), version and addresses; None or empty where nothing is said."""

    name: str | None = None
    version: str | None = None
    urls: tuple[str, ...] = ()


def read_project(folder: Path) -> Project:
    """The project of a pack's folder; an empty one where there is no `pyproject.toml` that can be read."""
    try:
        with (folder / "pyproject.toml").open("rb") as file:
            document = tomllib.loads(file.read(_MAX_BYTES).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return Project()
    project = document.get("project")
    if not isinstance(project, Mapping):
        return Project()
    urls = project.get("urls")
    addresses = urls.values() if isinstance(urls, Mapping) else ()
    return Project(
        _text(project.get("name")),
        _text(project.get("version")),
        tuple(address for address in addresses if isinstance(address, str)),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.isprintable() and value else None
