"""The Python environment that runs nodes: what is installed there, and which of it is the core.

The core is what comfykit needs, with everything that stands below it, in the versions that are installed. A
pack never moves it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Parsed
from packaging.utils import canonicalize_name

from comfykit.errors import PackError

SECONDS = 300.0  # a machine may be busy
OURSELVES = "comfykit-engine"
_PLACES = ("purelib", "platlib", "scripts", "data")

# What comfykit needs, where it is not itself installed in the environment; a test compares it with
# pyproject.toml.
NEEDED = (
    "torch",
    "numpy",
    "safetensors",
    "transformers",
    "tokenizers",
    "pillow",
    "scipy",
    "torchsde",
    "httpx",
    "aria2p",
    "gitpython",
    "psutil",
    "pyyaml",
    "rich",
    "typer",
    "uv",
    "packaging",
)


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment by its interpreter; by default the one that runs comfykit."""

    python: Path = Path(sys.executable)


@dataclass(frozen=True, slots=True)
class Distribution:
    """An installed package; `url` where it came from an address, "-e file://..." for an editable one.

    `files` are the places of what it installed: none where nobody asked, or wrote them down.
    """

    name: str
    version: str
    requires: tuple[str, ...] = ()
    url: str | None = None
    files: tuple[Path, ...] = ()

    @property
    def frozen(self) -> str:
        """Its version, or the address that it came from."""
        return self.url or self.version


@dataclass(frozen=True, slots=True)
class Installed:
    """What an environment has; `paths` are those of `sysconfig`, `markers` those of PEP 508."""

    distributions: Mapping[str, Distribution]
    markers: Mapping[str, str]
    paths: Mapping[str, Path]
    prefix: Path

    def version(self, name: str) -> str | None:
        """The version of a package; None where it is not installed."""
        found = self.distributions.get(name)
        return found.version if found else None

    def frozen(self) -> dict[str, str]:
        """Name to version, or to the address that it came from."""
        return {name: found.frozen for name, found in sorted(self.distributions.items())}


def freeze(environment: Environment) -> dict[str, str]:
    """Normalised name to version, or to the address where one was installed from; sorted by name."""
    return look(environment).frozen()


def look(environment: Environment, *, files: bool = False) -> Installed:
    """What is installed, with `files` what each package wrote.

    Raises `PackError` where the interpreter cannot say.
    """
    script = Path(__file__).with_name("installed_listing.py")
    try:
        ended = subprocess.run(
            [environment.python, "-I", "-X", "utf8", script, *(["files"] if files else [])],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=SECONDS,
        )
        said = json.loads(ended.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise PackError(
            f"{environment.python} does not say what is installed ({_reason(error)})",
            hint="it should be the Python of the environment that runs nodes",
        ) from error
    within = (Path(said["prefix"]), *(Path(said["paths"][name]) for name in _PLACES))
    distributions = [_distribution(entry, within) for entry in said["distributions"]]
    return Installed(
        {found.name: found for found in reversed(distributions)},
        said["markers"],
        {name: Path(path) for name, path in said["paths"].items()},
        Path(said["prefix"]),
    )


def core(installed: Installed) -> frozenset[str]:
    """Names of the installed packages that comfykit stands on, itself included."""
    todo = [(name, frozenset[str]()) for name in (OURSELVES, *NEEDED) if name in installed.distributions]
    seen = set(todo)
    while todo:
        name, extras = todo.pop()
        for requirement in applicable(installed.distributions[name].requires, installed.markers, extras):
            below = (canonicalize_name(requirement.name), frozenset(requirement.extras))
            if below[0] in installed.distributions and below not in seen:
                seen.add(below)
                todo.append(below)
    return frozenset(name for name, _ in seen)


def applicable(
    requires: tuple[str, ...], markers: Mapping[str, str], extras: frozenset[str] = frozenset()
) -> list[Parsed]:
    """Those requirements of a package that count here, with the extras that were asked for."""
    found = []
    for text in requires:
        try:
            requirement = Parsed(text)
        except InvalidRequirement:
            continue
        marker = requirement.marker
        if marker is None or any(
            marker.evaluate({**markers, "extra": extra}) for extra in ("", *sorted(extras))
        ):
            found.append(requirement)
    return found


def _distribution(entry: dict[str, Any], within: Sequence[Path]) -> Distribution:
    """A package; a file that it claims to have outside the environment is not its own."""
    files = (Path(file) for file in entry["files"])
    return Distribution(
        canonicalize_name(entry["name"]),
        entry["version"],
        tuple(entry["requires"]),
        _url(entry["direct_url"]),
        tuple(file for file in files if any(file.is_relative_to(place) for place in within)),
    )


def _url(direct_url: str | None) -> str | None:
    """An address as pip writes it, from `direct_url.json` (PEP 610)."""
    try:
        said = json.loads(direct_url or "null")
        if not isinstance(said, dict) or not isinstance(said.get("url"), str):
            return None
        url: str = said["url"]
        if vcs := said.get("vcs_info"):
            url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
        if said.get("subdirectory"):
            url += f"#subdirectory={said['subdirectory']}"
        editable = (said.get("dir_info") or {}).get("editable")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return f"-e {url}" if editable else url


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        said = error.stderr.decode("utf-8", "replace").strip().splitlines()
        return said[-1] if said else f"exit code {error.returncode}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
