"""The other libraries that comfykit needs are there and recent enough, and none is there twice."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.catalogue import finding, fine
from comfykit.doctor.commands import install, uninstall
from comfykit.doctor.compat import tables
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding
from comfykit.doctor.requirements import LIBRARIES
from comfykit.doctor.versions import at_least

# Those whose version matters to pictures have a line of their own.
SHOWN = ("transformers", "safetensors")


def check(facts: Facts) -> Iterator[Finding]:
    """Judge each distribution; the quiet ones share a line as long as all is well."""
    if facts.ours:
        yield from _needed(facts)
    yield from _doubles(facts)


def _needed(facts: Facts) -> Iterator[Finding]:
    """What comfykit needs; on the machine of somebody else it need not be installed yet."""
    quiet = []
    for name, minimum in LIBRARIES.items():
        version = facts.version(name)
        command = install(facts, f"{name}>={minimum}")
        if version is None:
            yield finding("CK506", f"{name} is not installed", commands=[command])
        elif not at_least(version, minimum):
            said = f"{name} {version} is too old: comfykit needs {minimum}"
            yield finding("CK507", said, commands=[command])
        elif name in SHOWN:
            yield fine(name, version)
        else:
            quiet.append(f"{name} {version}")
    if quiet:
        yield fine("packages", ", ".join(quiet))


def _doubles(facts: Facts) -> Iterator[Finding]:
    """Packages that write the same files."""
    for double in tables().double:
        there = [name for name in double.packages if facts.version(name)]
        if len(there) < 2:
            continue
        kept = next(name for name in double.keep if name in there)
        names = ", ".join(f"{name} {facts.version(name)}" for name in there)
        said = f"{names} are all installed, and all write the folder {double.module}"
        others = [name for name in there if name != kept]
        commands = [
            uninstall(facts, *others),
            install(facts, f"{kept}=={facts.version(kept)}", reinstall=True),
        ]
        yield finding(double.code, said, commands=commands)
