"""torch can use the GPU that is there: its build, the driver and the GPU go together."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding, Status
from comfykit.doctor.sources.driver import Driver, Gpu
from comfykit.doctor.sources.libraries import Torch
from comfykit.doctor.versions import release
from comfykit.doctor.wheels import install_torch


def check(facts: Facts) -> Iterator[Finding]:
    """Judge torch's build against driver and GPU; has nothing to say where one of them is not there."""
    torch, driver = facts.torch, facts.driver
    if facts.device == "cpu" or driver is None or not driver.gpus:
        return
    if torch.version is None or torch.error is not None:
        return
    if torch.cuda is None and torch.hip is None:
        yield Finding(
            "cuda",
            Status.FAILURE if facts.device == "cuda" else Status.WARNING,
            f"torch {torch.version} is built for the CPU only and leaves the GPU idle",
            install_torch(driver),
        )
    elif torch.cuda is None:
        return
    elif torch.devices == 0:
        yield _unusable(torch, torch.cuda, driver)
    else:
        yield from _usable(torch, torch.cuda, driver)


def _unusable(torch: Torch, cuda: str, driver: Driver) -> Finding:
    """A build that finds no GPU, although the driver has one."""
    if driver.cuda and release(cuda) > release(driver.cuda):
        return Finding(
            "cuda",
            Status.FAILURE,
            f"torch {torch.version} is built for CUDA {cuda}, newer than the CUDA {driver.cuda} that driver "
            f"{driver.version} supports",
            f"update the NVIDIA driver, or {install_torch(driver)}",
        )
    said = f": {torch.complaint}" if torch.complaint else ""
    return Finding(
        "cuda",
        Status.FAILURE,
        f"torch {torch.version} is built for CUDA {cuda} but finds no GPU it can use{said}",
        "see whether CUDA_VISIBLE_DEVICES hides the GPU, or whether the container was started without it",
    )


def _usable(torch: Torch, cuda: str, driver: Driver) -> Iterator[Finding]:
    """A build that starts on the GPU; it may still have no code for it."""
    strangers = [gpu for gpu in driver.gpus if not _has_code_for(torch, gpu)]
    for gpu in strangers:
        yield Finding(
            "cuda",
            Status.FAILURE,
            f"torch {torch.version} has no code for the {gpu.name} ({_name(gpu)}), only for "
            f"{', '.join(torch.architectures)}",
            install_torch(driver),
        )
    if not strangers:
        known = f", driver {driver.version} up to {driver.cuda}" if driver.cuda else ""
        yield Finding("cuda", Status.OK, f"torch is built for CUDA {cuda}{known}")


def _has_code_for(torch: Torch, gpu: Gpu) -> bool:
    """Whether a build runs on a GPU.

    Machine code ("sm_86") runs on its own major version from its minor version on; intermediate code
    ("compute_90") on everything that is newer (CUDA C++ Programming Guide, "Application compatibility").
    """
    if gpu.compute is None or not torch.architectures:
        return True
    major, minor = gpu.compute
    for architecture in torch.architectures:
        kind, _, number = architecture.partition("_")
        digits = number.rstrip("af")
        if not digits.isdigit():
            continue
        built = (int(digits[:-1] or 0), int(digits[-1]))
        if kind == "compute" and built <= gpu.compute:
            return True
        if kind == "sm" and built[0] == major and built[1] <= minor:
            return True
    return False


def _name(gpu: Gpu) -> str:
    return "sm_{}{}".format(*gpu.compute) if gpu.compute else "of an unknown kind"
