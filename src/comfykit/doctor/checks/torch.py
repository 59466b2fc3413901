"""torch is there, imports, is recent enough to be safe and was built for this Python and this C library."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.catalogue import finding, fine
from comfykit.doctor.compat import tables
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding
from comfykit.doctor.requirements import TORCH
from comfykit.doctor.sources.libraries import Torch
from comfykit.doctor.versions import at_least, minor, release, within
from comfykit.doctor.wheels import advice, choose, install_torch


def check(facts: Facts) -> Iterator[Finding]:
    """Judge torch by itself; what it makes of the GPU is `cuda`'s affair."""
    torch = facts.torch
    if torch is None:
        return
    install, words = install_torch(facts), advice(facts)
    if torch.version is None:
        yield finding("CK201", "not installed", commands=install, hint=words)
        return
    problems = [*_origin(facts, torch, torch.version)]
    if torch.error is not None and not problems:
        said = f"{torch.version} does not import: {torch.error}"
        problems.append(finding("CK202", said, commands=install, hint=words))
    if not at_least(torch.version, TORCH):
        said = f"{torch.version} ({build(facts)}) is too old: comfykit needs {TORCH}"
        newer = install if problems or _is_newer(facts, torch.version) else ()
        problems.append(finding("CK203", said, commands=newer, hint=words))
    yield from problems
    if not problems:
        later = "; its import was not waited for, as comfykit doctor --deep does" if torch.late else ""
        yield fine("torch", f"{torch.version} ({build(facts)}){later}")


def _origin(facts: Facts, torch: Torch, version: str) -> Iterator[Finding]:
    """Whether such a torch was ever built for this Python and this glibc."""
    row = tables().torch_release(version)
    if row is None or torch.devices is not None:  # it imports, so it was
        return
    python, glibc = facts.python, facts.system.glibc
    if python and not within(python.version, row.python):
        said = f"torch {version} has wheels for Python {row.python}, not for {python.version}"
        yield finding("CK204", said, commands=install_torch(facts), hint=advice(facts))
    if facts.system.os == "linux" and glibc and not at_least(glibc, row.glibc):
        said = f"torch {version} needs glibc {row.glibc}, and this system has {glibc}"
        yield finding("CK211", said, commands=install_torch(facts), hint=advice(facts))


def _is_newer(facts: Facts, version: str) -> bool:
    """Whether a newer release than this one runs here."""
    wheel = choose(facts)
    return wheel is not None and release(wheel.row.version) > release(minor(version))


def build(facts: Facts) -> str:
    """What torch was built for, in words."""
    if facts.torch_cuda:
        return f"CUDA {facts.torch_cuda}"
    tag = facts.torch_build
    if tag is None:
        return "of unknown build"
    return (
        f"ROCm {tag.removeprefix('rocm')}" if tag.startswith("rocm") else f"{tag} only".replace("cpu", "CPU")
    )
