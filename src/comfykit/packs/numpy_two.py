"""Packages whose older builds break beside numpy 2, although nothing in their metadata says so.

They were compiled against numpy 1, and fail when they are imported. A pack that pins such a version wrote its
pin before numpy 2 was there.
"""

from __future__ import annotations

from collections.abc import Mapping

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from comfykit.packs.one_choice import ONNXRUNTIME, OPENCV

# The first releases that run with numpy 2, by their release notes.
FIRST: Mapping[str, str] = {
    **dict.fromkeys(OPENCV, "4.10.0.84"),
    **dict.fromkeys(ONNXRUNTIME, "1.19.0"),
    "pandas": "2.2.2",
    "scikit-learn": "1.4.2",
}


def first_builds(numpy: str | None) -> Mapping[str, str]:
    """The first versions that run with the installed numpy, by package."""
    try:
        return FIRST if numpy and Version(numpy).major >= 2 else {}
    except InvalidVersion:
        return {}


def is_before(specifier: str, first: str) -> bool:
    """Whether a specifier allows only versions before the first that runs."""
    try:
        clauses = list(SpecifierSet(specifier))
        return any(
            clause.operator in ("==", "===", "<", "<=")
            and (version := Version(clause.version.removesuffix(".*"))) <= Version(first)
            and not (clause.operator != "<" and (version == Version(first)))
            for clause in clauses
        )
    except (InvalidSpecifier, InvalidVersion):
        return False
