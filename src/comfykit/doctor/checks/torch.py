"""torch imports, and is recent enough to be safe."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding, Status
from comfykit.doctor.requirements import TORCH
from comfykit.doctor.sources.libraries import Torch
from comfykit.doctor.versions import at_least
from comfykit.doctor.wheels import install_torch


def check(facts: Facts) -> Iterator[Finding]:
    """Judge torch by itself; what it makes of the GPU is `cuda`'s affair."""
    torch = facts.torch
    install = install_torch(facts.driver)
    if torch.version is None:
        yield Finding("torch", Status.FAILURE, "not installed", install)
    elif torch.error is not None:
        yield Finding(
            "torch",
            Status.FAILURE,
            f"{torch.version} does not import: {torch.error}",
            f"remove it and install it anew: pip uninstall torch, then {install}",
        )
    elif not at_least(torch.version, TORCH):
        yield Finding(
            "torch",
            Status.FAILURE,
            f"{torch.version} ({build(torch)}) is too old: before {TORCH} a hostile .ckpt or .pt "
            "file can run code even when only its weights are loaded (CVE-2026-24747)",
            install,
        )
    else:
        yield Finding("torch", Status.OK, f"{torch.version} ({build(torch)})")


def build(torch: Torch) -> str:
    """What torch was built for, in words."""
    if torch.cuda:
        return f"CUDA {torch.cuda}"
    return f"ROCm {torch.hip}" if torch.hip else "CPU only"
