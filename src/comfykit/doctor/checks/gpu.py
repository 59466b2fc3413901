"""There is a GPU, and its driver answers."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding, Status
from comfykit.doctor.sources.driver import Driver, Gpu
from comfykit.doctor.units import size


def check(facts: Facts) -> Iterator[Finding]:
    """Judge the GPU and its driver, whatever torch makes of them."""
    driver = facts.driver
    if driver is not None and driver.error is not None:
        yield _broken(facts, driver.error)
    elif driver is not None and driver.gpus:
        for gpu in driver.gpus:
            yield Finding("gpu", Status.OK, _describe(gpu, driver))
    elif facts.torch.devices:
        count = facts.torch.devices
        yield Finding("gpu", Status.OK, f"{count} that torch can use; nvidia-smi is not there to name it")
    else:
        yield _none(facts)


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
    harmless = facts.device == "cpu" or facts.torch.devices > 0
    if "version mismatch" in error:
        hint = "the driver was updated while the old one is still loaded: restart the machine"
    else:
        hint = "run nvidia-smi by itself; where it fails too, install the NVIDIA driver anew"
    return Finding(
        "gpu",
        Status.WARNING if harmless else Status.FAILURE,
        f"the NVIDIA driver does not answer: {error}",
        hint,
    )


def _none(facts: Facts) -> Finding:
    if facts.device == "cuda":
        return Finding(
            "gpu",
            Status.FAILURE,
            "none was found, but the device is set to cuda",
            "set the device to auto or cpu, or start the container with its GPU (docker run --gpus all)",
        )
    if facts.device == "cpu":
        return Finding("gpu", Status.OK, "none is needed: the device is set to cpu")
    return Finding(
        "gpu",
        Status.WARNING,
        "none was found: pictures are made on the CPU, which takes minutes each",
        'to take that as given, put device = "cpu" into comfykit.toml',
    )
