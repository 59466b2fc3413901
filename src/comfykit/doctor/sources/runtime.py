"""The interpreter, and the versions of installed distributions as their metadata gives them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata

from comfykit.doctor.requirements import LIBRARIES


@dataclass(frozen=True, slots=True)
class Python:
    """The interpreter that runs comfykit."""

    version: str
    executable: str


def look_at_python() -> Python:
    """The interpreter at work."""
    return Python(".".join(map(str, sys.version_info[:3])), sys.executable)


def look_at_packages(names: Iterable[str] = LIBRARIES) -> Mapping[str, str | None]:
    """Version of each distribution, None where it is not installed."""
    return {name: installed(name) for name in names}


def installed(name: str) -> str | None:
    """Version of a distribution; None where it is not installed, or so damaged that it has no version."""
    try:
        return metadata.version(name) or None
    except (metadata.PackageNotFoundError, KeyError, OSError):
        return None
