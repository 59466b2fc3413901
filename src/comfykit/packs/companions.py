"""torchvision and torchaudio: which build belongs to the torch that is installed.

Their compiled parts use torch's. One that was built for another version, or for another kind of GPU than the
torch beside it, fails when it is imported and takes transformers and diffusers with it. Of torchvision's
compiled part packs can do without (`compat.torchvision_ops`), so where the very build cannot be had, one of
the same release for another device is better than none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

COMPANIONS = ("torchvision", "torchaudio")

# torchvision 0.(N+15) belongs to torch 2.N. torchaudio has torch's numbers, and ends with 2.11.
_VISION_OFFSET = 15
_LAST_AUDIO = 11
# The kinds of builds that the PyTorch project publishes; others (a vendor's, one's own) have no companions.
_BUILD = re.compile(r"cpu|cu\d{2,3}|rocm\d+(\.\d+)*|xpu")


@dataclass(frozen=True, slots=True)
class Companion:
    """The release that belongs to a torch ("0.28.0"), and the label of its build ("cpu") if torch has one."""

    name: str
    release: str
    label: str | None

    @property
    def constraint(self) -> str:
        """As a requirement: exactly the build where builds have labels, any of the series where not."""
        if self.label:
            return f"{self.name}=={self.release}+{self.label}"
        return f"{self.name}=={self.release.rpartition('.')[0]}.*"

    def is_fitting(self, version: str) -> bool:
        """Whether a version of it belongs to the torch."""
        found = _version(version)
        wanted = Version(self.release)
        return found is not None and found.release[:2] == wanted.release[:2] and found.local == self.label

    @property
    def any_build(self) -> str | None:
        """As a requirement: the release, for whatever device; None where such a one is of no use."""
        return f"{self.name}=={self.release}" if self.name == "torchvision" and self.label else None

    def is_of_release(self, version: str) -> bool:
        """Whether a version is of the release that belongs to the torch, and says not for which device."""
        found = _version(version)
        wanted = Version(self.release)
        return found is not None and found.release[:2] == wanted.release[:2] and found.local is None

    def satisfies(self, specifier: str) -> bool:
        """Whether this is what somebody asked for."""
        try:
            return SpecifierSet(specifier).contains(self.release, prereleases=True)
        except InvalidSpecifier:
            return False


def companion(name: str, torch: str) -> Companion | None:
    """What belongs to a version of torch; None where there can be no such build."""
    version = _version(torch)
    if version is None or version.is_prerelease or version.release[0] != 2 or len(version.release) < 2:
        return None
    if version.local and not _BUILD.fullmatch(version.local):
        return None
    minor, patch = version.release[1], (*version.release, 0)[2]
    if name == "torchvision":
        return Companion(name, f"0.{minor + _VISION_OFFSET}.{patch}", version.local)
    if minor <= _LAST_AUDIO:
        return Companion(name, f"2.{minor}.{patch}", version.local)
    return None


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None
