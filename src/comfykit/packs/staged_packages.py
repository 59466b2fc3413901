"""Packages that are about to come: fetched and built beside the environment, and their files looked at."""

from __future__ import annotations

import filecmp
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePath

from packaging.utils import canonicalize_name

from comfykit.errors import PackError
from comfykit.events import Reporter, Warned
from comfykit.packs.environment import Environment, Installed
from comfykit.packs.uv_tool import Sources, run_uv

# Folders that careless packages leave beside their own, and that nobody imports.
_LITTER = ("tests", "test", "docs", "doc", "examples", "benchmarks", "scripts", "licenses", "license")


@dataclass(frozen=True, slots=True)
class Incoming:
    """Where the files of packages will lie, each with the place that it lies at now."""

    places: tuple[tuple[Path, Path], ...] = ()
    names: frozenset[str] = frozenset()

    @property
    def files(self) -> tuple[Path, ...]:
        """Where they will lie."""
        return tuple(place for place, _ in self.places)


def stage_packages(
    listed: Path, folder: Path, environment: Environment, sources: Sources, installed: Installed
) -> Incoming:
    """Fetch, build and unpack the packages of a requirements file; uv's cache has them from then on.

    Raises `PackError` where one cannot be had, has another hash, or does not build; nothing has changed then.
    """
    prefix = folder / "prefix"
    ended = run_uv(("install",), environment, sources, ["--no-deps", "--prefix", prefix, "-r", listed])
    if ended.code:
        words = ended.stderr.strip().splitlines()
        said = next((line for line in words if line.startswith("error:")), "uv said nothing")
        raise PackError(
            f"packages could not be fetched and nothing was changed: {said.removeprefix('error:').strip()}",
            hint="\n".join(words) or None,
        )
    sites = sorted({path.parent for path in prefix.rglob("*.dist-info")})
    found = [
        path for path in prefix.rglob("*") if (path.is_file() or path.is_symlink()) and path.name != ".lock"
    ]
    names = {
        canonicalize_name(path.name.removesuffix(".dist-info").rpartition("-")[0])
        for site in sites
        for path in site.glob("*.dist-info")
    }
    return Incoming(
        tuple((_place(path, prefix, sites, installed), path) for path in sorted(found)), frozenset(names)
    )


def check_files(
    incoming: Incoming,
    installed: Installed,
    changed: Collection[str],
    kept: Collection[str],
    reporter: Reporter,
) -> None:
    """Refuse packages that would overwrite files of the core; say where they overwrite others'."""
    owners = {
        file.resolve(): found.name
        for found in installed.distributions.values()
        if found.name not in changed
        for file in found.files
    }
    told = set()
    for place, staged in incoming.places:
        if place.suffix == ".pth" and not place.name.startswith("__editable__"):
            reporter(Warned(f"{place.name}, which Python runs at every start, comes with the packages"))
        owner = owners.get(place.resolve())
        if owner is None or not place.is_file() or filecmp.cmp(place, staged, shallow=False):
            continue
        litter = PurePath(place.relative_to(place.anchor)).parts
        if owner in kept and not any(part.lower() in _LITTER for part in litter[-3:]):
            raise PackError(
                f"a package would overwrite {place}, which belongs to {owner}; nothing was changed",
                hint="packs may not change what comfykit stands on",
            )
        if owner not in told:
            told.add(owner)
            reporter(Warned(f"packages overwrite files of {owner}, such as {place}"))


def _place(path: Path, prefix: Path, sites: Collection[Path], installed: Installed) -> Path:
    """Where a staged file will lie."""
    for site in sites:
        if path.is_relative_to(site):
            beside = installed.prefix / site.relative_to(prefix)
            ours = (installed.paths["purelib"], installed.paths["platlib"])
            return (beside if beside in ours else ours[0]) / path.relative_to(site)
    within = path.relative_to(prefix)
    if within.parts[0] in ("bin", "Scripts"):
        return installed.paths["scripts"] / Path(*within.parts[1:])
    return installed.paths["data"] / within
