"""numpy imports, and what is compiled was built for its ABI."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.catalogue import finding, fine
from comfykit.doctor.commands import install
from comfykit.doctor.compat import tables
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding
from comfykit.doctor.requirements import NUMPY, TORCH
from comfykit.doctor.versions import at_least, release, within
from comfykit.doctor.wheels import advice, choose, install_torch


def check(facts: Facts) -> Iterator[Finding]:
    """Judge numpy, whether tensors become its arrays, and the packages that were compiled for it."""
    numpy = facts.numpy
    if numpy is None:
        return
    if numpy.version is None:
        yield finding("CK401", "not installed", commands=[install(facts, f"numpy>={NUMPY}")])
        return
    problems = list(_itself(facts, numpy.version, numpy.error))
    problems += [
        *_torch(facts, numpy.version),
        *_compiled(facts, numpy.version),
        *_numba(facts, numpy.version),
    ]
    yield from problems
    if not problems:
        later = "; its import was not waited for, as comfykit doctor --deep does" if numpy.late else ""
        yield fine("numpy", f"{numpy.version}{later}")


def _itself(facts: Facts, version: str, error: str | None) -> Iterator[Finding]:
    if error is not None:
        again = install(facts, f"numpy>={NUMPY}", reinstall=True)
        yield finding("CK402", f"{version} does not import: {error}", commands=[again])
    if not at_least(version, NUMPY):
        said = f"{version} is too old: comfykit needs {NUMPY}"
        yield finding("CK403", said, commands=[install(facts, f"numpy>={NUMPY}")])


def _torch(facts: Facts, numpy: str) -> Iterator[Finding]:
    """Whether tensors become arrays; where torch was not asked, its release says it."""
    torch = facts.torch
    if torch is None or torch.version is None:
        return
    row = tables().torch_release(torch.version)
    built_for_1 = row is not None and not row.numpy2
    if row is not None and facts.system.os == "windows":
        first = row.windows_numpy2
        built_for_1 |= first is False or (isinstance(first, str) and not at_least(torch.version, first))
    if torch.arrays is None and not (torch.devices is None and built_for_1 and at_least(numpy, "2")):
        return
    said = f"numpy {numpy} does not fit torch {torch.version}, which was built for numpy 1"
    if torch.arrays is not None:
        said += f": tensors do not become arrays ({torch.arrays})"
    if at_least(torch.version, TORCH):  # every such torch works with numpy 1 and 2: numpy is the culprit
        yield finding("CK404", said, commands=[install(facts, f"numpy>={NUMPY}", reinstall=True)])
        return
    wheel = choose(facts)
    if wheel is None or not wheel.row.numpy2:  # every torch that runs here was built for numpy 1
        yield finding("CK404", said, commands=[install(facts, f"numpy>={NUMPY},<2")])
    else:
        yield finding("CK404", said, commands=install_torch(facts), hint=advice(facts))


def _compiled(facts: Facts, numpy: str) -> Iterator[Finding]:
    """Packages that were compiled for numpy 1, where numpy 2 is there."""
    if not at_least(numpy, "2"):
        return
    old = {
        name: first
        for name, first in tables().numpy2.items()
        if (version := facts.version(name)) and release(version) and not at_least(version, first)
    }
    if old:
        names = ", ".join(f"{name} {facts.version(name)}" for name in old)
        said = f"numpy {numpy} is installed, and these packages were built for numpy 1: {names}"
        wanted = [f"{name}>={first}" for name, first in old.items()]
        yield finding("CK405", said, commands=[install(facts, *wanted)])


def _numba(facts: Facts, numpy: str) -> Iterator[Finding]:
    version = facts.version("numba")
    row = next((row for row in tables().numba if version and within(version, row["version"])), None)
    if (
        row is None
        or release(numpy)[:2] <= release(row["numpy"])
        or release(numpy)[:2] == release(row["numpy"])
    ):
        return
    if not at_least(numpy, "2") or not at_least(version or "", tables().numpy2["numba"]):
        return  # said with the other packages that were built for numpy 1
    said = f"numba {version} knows numpy up to {row['numpy']}, and {numpy} is installed"
    yield finding("CK406", said, commands=[install(facts, "numba>=0.63")])
