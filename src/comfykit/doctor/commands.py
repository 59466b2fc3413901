"""Commands that fit a machine: its installer, its interpreter, the index of the right builds."""

from __future__ import annotations

import re
from collections.abc import Sequence

from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Command

INDEX = "https://download.pytorch.org/whl/"


def install(
    facts: Facts,
    *requirements: str,
    index: str | None = None,
    reinstall: bool = False,
    fresh: bool = False,
) -> Command:
    """Install packages, from an index of their own where one is given.

    `reinstall` brings a package again that is there in the wanted version: another build, or whole files.
    With `fresh` nothing is taken from the installer's cache: uv links files from there, so that what was
    changed in an environment is changed in the cache too.
    """
    options = ["--index-url", index] if index else []
    if _installer(facts) == "uv":
        options += ["--no-cache"] if fresh else []
        names = [_name(requirement) for requirement in requirements] if reinstall else []
        options += [option for name in names for option in ("--reinstall-package", name)]
    else:
        options += ["--no-cache-dir"] if fresh else []
        if reinstall:
            options += ["--force-reinstall"] if index else ["--force-reinstall", "--no-deps"]
    return (*_pip(facts, "install"), *options, *requirements)


def uninstall(facts: Facts, *names: str) -> Command:
    """Remove packages."""
    yes = () if _installer(facts) == "uv" else ("--yes",)
    return (*_pip(facts, "uninstall"), *yes, *names)


def remove(paths: Sequence[str]) -> Command:
    """Remove files and folders."""
    return ("rm", "-r", *paths)


def _installer(facts: Facts) -> str:
    return facts.python.installer if facts.python else "uv"


def _pip(facts: Facts, verb: str) -> Command:
    executable = facts.python.executable if facts.python else None
    if _installer(facts) == "uv":
        return ("uv", "pip", verb, *(("--python", executable) if executable else ()))
    return (executable or "python", "-m", "pip", verb)


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    return found[0] if found else requirement
