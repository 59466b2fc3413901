"""What of packs' requirements is asked for: less what the core decides, and each module under one name."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from packaging.markers import Marker
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from comfykit.packs.companions import COMPANIONS, companion
from comfykit.packs.environment import OURSELVES, Installed
from comfykit.packs.numpy_two import first_builds, is_before
from comfykit.packs.one_choice import FAMILIES, choose
from comfykit.packs.requirement_lines import Requirement
from comfykit.packs.requirements import Wanted
from comfykit.packs.resolution import Overruled
from comfykit.packs.solver import PackLines


@dataclass(slots=True)
class Asked:
    """What is asked for on behalf of packs.

    `left_out` are names that are kept out of any resolution, `chosen` which member of a family stands for the
    others. `by_name` has the requirements that were read, `hashes` those that packs demand.
    """

    packs: list[PackLines] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    overruled: list[Overruled] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)
    chosen: dict[str, str] = field(default_factory=dict)
    by_name: dict[str, list[Requirement]] = field(default_factory=dict)

    def hashes(self, name: str) -> tuple[str, ...]:
        """The hashes that packs demand of a package."""
        return tuple(value for requirement in self.by_name.get(name, []) for value in requirement.hashes)


def ask(wanted: Sequence[Wanted], installed: Installed, kept: Collection[str]) -> Asked:
    """Sort out requirements: `kept` are the installed packages that no pack moves."""
    asked = Asked()
    here = [
        (of, [requirement for requirement in of.requirements if _counts(requirement, installed.markers)])
        for of in wanted
    ]
    _choose(asked, [requirement for _, found in here for requirement in found], installed, kept)
    for of, found in here:
        requirements: list[str] = []
        addresses: list[str] = []
        for requirement in found:
            asked.by_name.setdefault(_name(requirement) or requirement.text, []).append(requirement)
            text = _sorted_out(requirement, asked, installed, kept)
            if text is not None:
                (requirements if requirement.name else addresses).append(text)
        asked.packs.append(PackLines(of.pack, tuple(requirements), tuple(addresses)))
        for constraint in of.constraints:
            if not _counts(constraint, installed.markers) or constraint.name is None:
                continue
            text = _sorted_out(constraint, asked, installed, kept)
            if text is not None:
                asked.constraints.append(constraint.text)
    return asked


def _sorted_out(
    requirement: Requirement, asked: Asked, installed: Installed, kept: Collection[str]
) -> str | None:
    """The requirement as it is asked for; None where there is nothing to ask."""
    name = _name(requirement)
    if name is None or name == OURSELVES:
        return None if name else requirement.text
    if name in kept:
        version = installed.version(name) or ""
        if requirement.url is not None or not _allows(requirement.specifier, version):
            asked.overruled.append(_overruled(requirement, name, version))
        # The core's packages are there; what an extra of them adds may not be.
        return requirement.renamed(name, specifier="") if requirement.extras else None
    if name in COMPANIONS and installed.version("torch") is not None:
        return _beside_torch(requirement, name, asked, str(installed.version("torch")))
    return _beside_numpy(requirement, name, asked, installed.version("numpy"))


def _beside_torch(requirement: Requirement, name: str, asked: Asked, torch: str) -> str | None:
    """A requirement on torchvision or torchaudio: any version, as torch decides which."""
    belongs = companion(name, torch)
    if belongs is None:
        return None
    if requirement.url is not None or not belongs.satisfies(requirement.specifier):
        asked.overruled.append(_overruled(requirement, name, f"at {belongs.release}, with torch {torch}"))
    return requirement.renamed(name, specifier="")


def _beside_numpy(requirement: Requirement, name: str, asked: Asked, numpy: str | None) -> str:
    """Any other requirement: a version that runs with numpy, of the chosen member of a family."""
    if requirement.url is not None:
        return requirement.text
    chosen = asked.chosen.get(name, name)
    first = first_builds(numpy).get(name)
    if first and is_before(requirement.specifier, first):
        kept_at = f"at {first} or later, with numpy {numpy}"
        asked.overruled.append(_overruled(requirement, chosen, kept_at))
        return requirement.renamed(chosen, specifier=f">={first}")
    return requirement.renamed(chosen) if chosen != name else requirement.text


def _choose(
    asked: Asked, requirements: Sequence[Requirement], installed: Installed, kept: Collection[str]
) -> None:
    """Decide which member of each family stands for all of it, and say so where packs named several."""
    for family in FAMILIES:
        of = [requirement for requirement in requirements if requirement.name in family]
        wanted = {str(requirement.name) for requirement in of}
        chosen = choose(family, wanted, installed.distributions.keys(), cuda=_has_cuda(installed))
        if chosen is None:
            continue
        asked.chosen.update(dict.fromkeys(family, chosen))
        if wanted - {chosen}:
            said = ", ".join(f"{one.where} ({one.name})" for one in of)
            asked.notes.append(f"{chosen} is the one choice for {said}: they bring the same module")
        asked.left_out.update(name for name in family if name != chosen and name not in kept)


def _has_cuda(installed: Installed) -> bool:
    """Whether torch was built for NVIDIA GPUs: by its label, or by the libraries that it came with."""
    label = (installed.version("torch") or "").partition("+")[2]
    if label:
        return label.startswith("cu")
    return any(name.startswith(("nvidia-", "cuda-")) for name in installed.distributions)


def _name(requirement: Requirement) -> str | None:
    """Name of what a requirement brings; of a repository without one, the name that it probably has."""
    if requirement.name is not None or requirement.url is None:
        return requirement.name
    path = urlsplit(requirement.url).path.partition("@")[0]
    return canonicalize_name(PurePosixPath(path).name.removesuffix(".git")) or None


def _overruled(requirement: Requirement, name: str, kept: str) -> Overruled:
    return Overruled(requirement.pack, requirement.text, requirement.where, name, kept)


def _allows(specifier: str, version: str) -> bool:
    try:
        return SpecifierSet(specifier).contains(version, prereleases=True)
    except InvalidSpecifier:
        return True


def _counts(requirement: Requirement, markers: Mapping[str, str]) -> bool:
    """Whether a requirement is for this machine and this Python."""
    return requirement.marker is None or Marker(requirement.marker).evaluate({**markers, "extra": ""})
