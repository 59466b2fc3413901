"""torch's partners were built for it: torchvision, torchaudio, triton, xformers and other extensions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from comfykit.doctor.catalogue import finding
from comfykit.doctor.commands import INDEX, install, uninstall
from comfykit.doctor.compat import TorchRelease, tables
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Command, Finding
from comfykit.doctor.requirements import TORCH
from comfykit.doctor.versions import at_least, build_tag, is_nightly, local, minor, release, within
from comfykit.doctor.wheels import advice, install_torch

EXTENSIONS = ("flash-attn", "sageattention")


def check(facts: Facts) -> Iterator[Finding]:
    """Judge the pairs; without torch there is nothing to judge."""
    torch = facts.torch
    if torch is None or torch.version is None:
        return
    row = tables().torch_release(torch.version)
    if row is not None and not is_nightly(torch.version):
        yield from _partner(facts, row, "torchvision", "CK205", row.torchvision)
        yield from _partner(facts, row, "torchaudio", "CK206", row.torchaudio)
        yield from _triton(facts, row)
    yield from _builds(facts)
    yield from _xformers(facts, torch.version)
    yield from _extensions(facts, torch.version)
    yield from _onnxruntime(facts)


def _partner(facts: Facts, row: TorchRelease, name: str, code: str, wanted: str | None) -> Iterator[Finding]:
    """A partner of a release; where the table names none, only one of an older release is wrong."""
    version = facts.version(name)
    if version is None or not release(version) or is_nightly(version):
        return
    if wanted is None:
        older = [getattr(other, name) for other in tables().torch if getattr(other, name)]
        if name == "torchaudio" and older and minor(version) == older[-1]:
            return  # since 2.11 it is built on torch's stable interface
        if minor(version) not in older:
            return
    elif minor(version) == minor(wanted):
        return
    owner = next((other.version for other in tables().torch if getattr(other, name) == minor(version)), None)
    belongs = f", which belongs to torch {owner}" if owner else ""
    expected = f": {name} {wanted} does" if wanted else ""
    said = f"{name} {version}{belongs} does not go with torch {facts.torch.version}{expected}"  # type: ignore[union-attr]
    index = INDEX + facts.torch_build if facts.torch_build and local(version) else None
    commands: tuple[Command, ...]
    if at_least(row.version, TORCH) and wanted:
        commands = (install(facts, f"{name}=={wanted}.*", index=index, reinstall=True),)
    else:
        commands = install_torch(facts)
    yield finding(
        code, said, commands=commands, hint=advice(facts) if not at_least(row.version, TORCH) else None
    )


def _triton(facts: Facts, row: TorchRelease) -> Iterator[Finding]:
    name = {"linux": "triton", "windows": "triton-windows"}.get(facts.system.os)
    version = facts.version(name) if name else None
    if version is None or row.triton is None or minor(version) == row.triton:
        return
    said = f"{name} {version} does not go with torch {facts.torch.version}, which needs {row.triton}"  # type: ignore[union-attr]
    yield finding("CK209", said, commands=[install(facts, f"{name}=={row.triton}.*")])


def _builds(facts: Facts) -> Iterator[Finding]:
    """Partners with a build tag that differs from torch's."""
    torch = facts.torch_build
    for name in ("torchvision", "torchaudio"):
        version = facts.version(name)
        tag = build_tag(version) or facts.builds.get(name)
        if torch is None or tag is None or tag == torch:
            continue
        said = f"torch is a build for {torch}, {name} {version} one for {tag}"
        yield finding("CK207", said, commands=install_torch(facts), hint=advice(facts))


def _xformers(facts: Facts, torch: str) -> Iterator[Finding]:
    version = facts.version("xformers")
    if version is None or (local(version) and not build_tag(version)):  # built here, for what is here
        return
    wanted = tables().xformers.get(version.partition("+")[0])
    if wanted is None:
        return
    # Patch releases of torch keep its ABI.
    fits = at_least(torch, wanted[2:]) if wanted.startswith(">=") else minor(torch) == minor(wanted)
    if fits and (facts.torch_cuda or facts.torch_build is None):
        return
    need = "a build of torch for CUDA" if fits else f"torch {wanted}"
    said = (
        f"xformers {version} needs {need}, and torch is {torch} ({facts.torch_build or 'of unknown build'})"
    )
    fitting = [name for name, needs in tables().xformers.items() if needs == torch.partition("+")[0]]
    if fitting and facts.torch_cuda:
        index = INDEX + facts.torch_build if facts.torch_build and local(torch) else None
        yield finding("CK208", said, commands=[install(facts, f"xformers=={fitting[-1]}", index=index)])
    else:
        yield finding("CK208", said, commands=[uninstall(facts, "xformers")])


def _extensions(facts: Facts, torch: str) -> Iterator[Finding]:
    """Extensions whose build tag names a torch: "2.6.3+cu123torch2.4cxx11abifalse"."""
    for name in EXTENSIONS:
        version = facts.version(name)
        found = re.search(r"torch(\d+\.\d+)", local(version) or "")
        if found and found[1] != minor(torch):
            said = f"{name} {version} was built for torch {found[1]}, and torch is {torch}"
            yield finding("CK210", said, commands=[uninstall(facts, name)])


def _onnxruntime(facts: Facts) -> Iterator[Finding]:
    version, cuda = facts.version("onnxruntime-gpu"), facts.torch_cuda
    if version is None or cuda is None:
        return
    row = next((row for row in tables().onnxruntime if within(version, row["version"])), None)
    if row is None or cuda.split(".", maxsplit=1)[0] == row["cuda"]:
        return
    said = f"onnxruntime-gpu {version} was built for CUDA {row['cuda']}, and torch brings CUDA {cuda}"
    fitting = [other for other in tables().onnxruntime if other["cuda"] == cuda.split(".", maxsplit=1)[0]]
    if fitting:
        low, _, high = fitting[-1]["version"].partition("-")
        major, second = release(high)[:2]
        wanted = f"onnxruntime-gpu>={low},<{major}.{second + 1}"
        yield finding("CK212", said, commands=[install(facts, wanted)])
    else:
        yield finding("CK212", said)
