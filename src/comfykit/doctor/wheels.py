"""Which build of torch fits a driver, as a command to install it."""

from __future__ import annotations

from comfykit.doctor.requirements import TORCH
from comfykit.doctor.sources.driver import Driver
from comfykit.doctor.versions import at_least

# NVIDIA, "CUDA compatibility": within a major version any build runs on any driver of that version.
# CUDA 13 has no code for GPUs before Turing (7.5), the CUDA 12.6 builds none for Blackwell (10.0) and later.
MODERN, CLASSIC = "cu130", "cu126"


def install_torch(driver: Driver | None = None) -> str:
    """The pip command that brings a torch that can use this driver's GPUs."""
    if driver is None or not driver.gpus:
        return f"pip install --upgrade 'torch>={TORCH}'"
    tag = fitting(driver)
    if tag is not None:
        return _from(tag)
    if at_least(driver.cuda or "0", "13.0"):
        return "choose a build of torch with code for this GPU at https://pytorch.org/get-started/locally/"
    return f"update the NVIDIA driver to 580 or later, then {_from(MODERN)}"


def fitting(driver: Driver) -> str | None:
    """Tag of the build that fits ("cu126"); None where no build fits the driver and all its GPUs."""
    computes = [gpu.compute for gpu in driver.gpus if gpu.compute]
    cuda = driver.cuda or "0"
    if at_least(cuda, "13.0") and all(compute >= (7, 5) for compute in computes):
        return MODERN
    if at_least(cuda, "12.0") and all((5, 0) <= compute < (10, 0) for compute in computes):
        return CLASSIC
    return None


def _from(tag: str) -> str:
    # pip takes a build that is there already for good enough, whatever index it is from, unless forced.
    return (
        f"pip install --force-reinstall 'torch>={TORCH}' --index-url https://download.pytorch.org/whl/{tag}"
    )
