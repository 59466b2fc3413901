"""There is a GPU, its driver answers, and its memory is free."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.catalogue import finding, fine
from comfykit.doctor.compat import tables
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding, Status
from comfykit.doctor.sources.driver import Driver, Gpu
from comfykit.doctor.units import size

# Below this, what other programs hold is missing for models.
CROWDED = 0.25


def check(facts: Facts) -> Iterator[Finding]:
    """Judge the GPU and its driver, whatever torch makes of them."""
    driver = facts.driver
    if driver is None or (facts.amd and facts.amd.gpus):
        return
    if driver.error is not None:
        yield _broken(facts, driver.error)
    elif driver.gpus:
        for gpu in facts.gpus:
            yield from _gpu(facts, gpu, driver)
    elif driver.version or driver.cuda:  # somebody named the driver, and not what it drives
        return
    elif facts.torch and facts.torch.devices:
        count = facts.torch.devices
        yield fine("gpu", f"{count} that torch can use; nvidia-smi is not there to name it")
    elif facts.torch and facts.torch.xpu:
        yield fine("gpu", f"{facts.torch.xpu} of Intel, which torch uses through XPU")
    else:
        yield _none(facts)


def _gpu(facts: Facts, gpu: Gpu, driver: Driver) -> Iterator[Finding]:
    yield fine("gpu", _describe(gpu, driver))
    if facts.device == "cpu":
        return
    if tables().is_bad_at_half(gpu.name):
        yield finding("CK309", f"the {gpu.name} gives black pictures with half precision")
    if gpu.memory and gpu.free is not None and gpu.free < CROWDED * gpu.memory and gpu.processes != 0:
        count = f"{gpu.processes} programs" if gpu.processes and gpu.processes > 1 else "a program"
        who = f", and {count} computes on it" if gpu.processes else ""
        said = f"{size(gpu.free)} of the {size(gpu.memory)} of the {gpu.name} are free{who}"
        yield finding("CK310", said, seen="nvidia-smi")


def _describe(gpu: Gpu, driver: Driver) -> str:
    parts = [gpu.name]
    if gpu.memory:
        parts.append(size(gpu.memory))
    if driver.version:
        parts.append(f"driver {driver.version}")
    if driver.cuda:
        parts.append(f"CUDA up to {driver.cuda}")
    return ", ".join(parts)


def _broken(facts: Facts, error: str) -> Finding:
    harmless = facts.device == "cpu" or bool(facts.torch and facts.torch.devices)
    hint = None
    if "version mismatch" in error:
        hint = "the driver was updated while the old one is still loaded: restart the machine"
    return finding(
        "CK320",
        f"the NVIDIA driver does not answer: {error}",
        status=Status.WARNING if harmless else None,
        hint=hint or "run nvidia-smi by itself; where it fails too, install the NVIDIA driver anew",
    )


def _none(facts: Facts) -> Finding:
    if facts.device == "cpu":
        return fine("gpu", "none is needed: the device is set to cpu")
    forced = Status.FAILURE if facts.device == "cuda" else None
    if facts.container and not facts.container.gpu and facts.torch_cuda:
        said = f"this {facts.container.kind} container has no GPU"
        return finding("CK322", said, status=forced)
    if facts.system.os == "macos" and facts.system.machine == "aarch64":
        if facts.torch and facts.torch.mps is False:
            return finding("CK321", "torch cannot use the Mac's (MPS needs macOS 14 and no virtual machine)")
        return fine("gpu", "that of the Mac, which torch uses through MPS")
    if forced:
        return finding(
            "CK321",
            "none was found, but the device is set to cuda",
            status=forced,
            hint="set the device to auto or cpu, or start the container with its GPU (docker run --gpus all)",
        )
    return finding("CK321", "none was found: pictures are made on the CPU, which takes minutes each")
