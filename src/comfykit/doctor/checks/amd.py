"""torch has code for AMD's GPUs, where there are some and no others."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.catalogue import finding, fine
from comfykit.doctor.compat import tables
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding
from comfykit.doctor.versions import at_least
from comfykit.doctor.wheels import install_torch


def check(facts: Facts) -> Iterator[Finding]:
    """Judge torch's build against AMD's GPUs."""
    amd, torch = facts.amd, facts.torch
    if amd is None or facts.device == "cpu":
        return
    if amd.error is not None:
        yield finding("CK320", f"ROCm does not answer: {amd.error}", hint="run rocminfo by itself")
        return
    if not amd.gpus or torch is None or torch.version is None or facts.gpus:
        return
    build = facts.torch_build or ""
    if not build.startswith("rocm"):
        said = f"torch {torch.version} is a build for {build or 'something else'} and leaves the GPU idle"
        yield finding("CK341", said, commands=install_torch(facts))
        return
    known = tables().rocm["built"].split()
    if at_least(build.removeprefix("rocm"), "7"):
        known += tables().rocm["since_7"].split()
    strangers = [gpu for gpu in amd.gpus if gpu not in known]
    if strangers and len(strangers) == len(amd.gpus) and "HSA_OVERRIDE_GFX_VERSION" not in facts.variables:
        said = f"torch {torch.version} has no code for {', '.join(strangers)}"
        yield finding("CK340", said, hint=_nearest(strangers[0]))
    else:
        yield fine("gpu", f"AMD {', '.join(amd.gpus)}, torch is built for {build}")


def _nearest(gpu: str) -> str | None:
    nearest = {"gfx101": "10.3.0", "gfx103": "10.3.0", "gfx110": "11.0.0", "gfx115": "11.0.0"}.get(gpu[:6])
    return (
        f"let it run as the nearest that there is code for: export HSA_OVERRIDE_GFX_VERSION={nearest}"
        if nearest
        else None
    )
