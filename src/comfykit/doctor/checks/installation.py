"""Installed packages are whole, there once, and what they require is there."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.catalogue import finding, fine
from comfykit.doctor.commands import INDEX, install, remove
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding
from comfykit.doctor.sources.installation import Damage, Remains
from comfykit.doctor.versions import local

NAMED = 4


def check(facts: Facts) -> Iterator[Finding]:
    """Judge what the records of packages say."""
    found = facts.installation
    for damage in found.damaged:
        yield _damage(facts, damage)
    for remains in found.remains:
        yield _remains(facts, remains)
    for name in found.twice:
        version = facts.version(name)
        wanted = f"{name}=={version}" if version else name
        yield finding("CK508", f"{name} is recorded twice", commands=[install(facts, wanted, reinstall=True)])
    if found.unread:
        said = f"for the files of {found.unread} there was no time: comfykit doctor --deep reads them all"
        yield fine("packages", said)
    for unmet in found.unmet:
        has = f"{unmet.installed} is installed" if unmet.installed else "it is not installed"
        yield finding("CK503", f"{unmet.package} needs {unmet.requirement}, and {has}")


def _damage(facts: Facts, damage: Damage) -> Finding:
    files = f"{damage.first} is" if damage.files == 1 else f"{damage.files} files are"
    more = "" if damage.files == 1 else f", among them {damage.first}"
    said = f"{damage.name} {damage.version}: {files} gone or changed{more}"
    tag = local(damage.version)
    index = INDEX + tag if tag and damage.name.startswith("torch") else None
    again = install(facts, f"{damage.name}=={damage.version}", index=index, reinstall=True, fresh=True)
    return finding("CK504", said, commands=[again])


def _remains(facts: Facts, remains: Remains) -> Finding:
    said = f"{remains.folder} is what an interrupted installation left of {remains.name}"
    folder = facts.installation.folder
    commands = [remove([str(folder / remains.folder) if folder else remains.folder])]
    if remains.version:
        commands.append(install(facts, f"{remains.name}=={remains.version}", reinstall=True))
    return finding("CK505", said, commands=commands)
