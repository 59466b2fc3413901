"""The NVIDIA driver and its GPUs, as `nvidia-smi` tells them."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass

from comfykit.doctor.sources.process import Ended, run

# A driver without persistence mode takes seconds to wake; one that hangs takes for ever.
SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU: `memory` in bytes, `compute` as (8, 6); None where the driver does not say."""

    name: str
    memory: int | None
    compute: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Driver:
    """The driver; `cuda` is the newest CUDA version it supports, `error` why it did not answer."""

    version: str | None = None
    cuda: str | None = None
    gpus: tuple[Gpu, ...] = ()
    error: str | None = None


def look(seconds: float = SECONDS) -> Driver | None:
    """Ask the driver; None where there is no nvidia-smi."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    listed = _query(program, "name,driver_version,memory.total,compute_cap", seconds)
    if "not a valid field" in listed.stdout:  # drivers before 510 do not know compute_cap
        listed = _query(program, "name,driver_version,memory.total", seconds)
    if "No devices were found" in listed.stdout:
        return Driver()
    if listed.problem is not None:
        said = (listed.stdout.strip() or listed.stderr.strip()).splitlines()
        return Driver(error=said[0] if said else f"nvidia-smi {listed.problem}")
    rows = [line.split(", ") for line in listed.stdout.splitlines() if line.strip()]
    return Driver(
        version=next((row[1] for row in rows if len(row) > 1), None),
        cuda=_supported_cuda(program, seconds),
        gpus=tuple(_gpu(row) for row in rows),
    )


def _query(program: str, fields: str, seconds: float) -> Ended:
    return run([program, f"--query-gpu={fields}", "--format=csv,noheader"], seconds)


def _supported_cuda(program: str, seconds: float) -> str | None:
    """The CUDA version in the banner; no query has it."""
    found = re.search(r"CUDA (?:\w+ )?Version\s*:\s*(\d+\.\d+)", run([program], seconds).stdout)
    return found[1] if found else None


def _gpu(row: list[str]) -> Gpu:
    """A GPU from a row of the list: name, driver, "24564 MiB", "8.9"; what is not known is "[N/A]"."""
    name, _, memory, compute = (*row, "", "", "", "")[:4]
    mebibytes = re.match(r"(\d+) MiB", memory)
    capability = re.match(r"(\d+)\.(\d+)", compute)
    return Gpu(
        name=name,
        memory=int(mebibytes[1]) * 2**20 if mebibytes else None,
        compute=(int(capability[1]), int(capability[2])) if capability else None,
    )
