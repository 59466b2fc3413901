"""The NVIDIA driver and its GPUs, as `nvidia-smi` tells them."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from comfykit.doctor.sources.process import Ended, run

# A driver without persistence mode takes a second or two to wake; one that hangs takes for ever.
SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU: `memory` and `free` in bytes, `compute` as (8, 6); None where the driver does not say.

    `processes` counts the programs that compute on it.
    """

    name: str
    memory: int | None = None
    compute: tuple[int, int] | None = None
    free: int | None = None
    processes: int | None = None


@dataclass(frozen=True, slots=True)
class Driver:
    """The driver; `cuda` is the newest CUDA version it supports, `error` why it did not answer.

    `present` is False where there is no nvidia-smi at all.
    """

    version: str | None = None
    cuda: str | None = None
    gpus: tuple[Gpu, ...] = ()
    error: str | None = None
    present: bool = True


def look(seconds: float = SECONDS) -> Driver:
    """Ask the driver, twice where it answers; each time for `seconds` at most."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return Driver(present=False)
    listed = _query(program, "gpu_uuid,name,driver_version,memory.total,memory.free,compute_cap", seconds)
    if "not a valid field" in listed.stdout:  # drivers before 510 do not know compute_cap
        listed = _query(program, "gpu_uuid,name,driver_version,memory.total,memory.free", seconds)
    if "No devices were found" in listed.stdout:
        return Driver()
    if listed.problem is not None:
        said = (listed.stdout.strip() or listed.stderr.strip()).splitlines()
        return Driver(error=said[0] if said else f"nvidia-smi {listed.problem}")
    rows = [line.split(", ") for line in listed.stdout.splitlines() if line.strip()]
    with ThreadPoolExecutor(2) as pool:
        cuda = pool.submit(_supported_cuda, program, seconds)
        busy = pool.submit(_processes, program, seconds)
        return Driver(
            version=next((row[2] for row in rows if len(row) > 2), None),
            cuda=cuda.result(),
            gpus=tuple(_gpu(row, busy.result()) for row in rows),
        )


def _query(program: str, fields: str, seconds: float) -> Ended:
    return run([program, f"--query-gpu={fields}", "--format=csv,noheader"], seconds)


def _supported_cuda(program: str, seconds: float) -> str | None:
    """The CUDA version in the banner; no query has it."""
    found = re.search(r"CUDA (?:\w+ )?Version\s*:\s*(\d+\.\d+)", run([program], seconds).stdout)
    return found[1] if found else None


def _processes(program: str, seconds: float) -> list[str] | None:
    """For each program that computes, the GPU it is on; None where the driver does not say."""
    ended = run([program, "--query-compute-apps=gpu_uuid", "--format=csv,noheader"], seconds)
    return ended.stdout.split() if ended.problem is None else None


def _gpu(row: list[str], busy: list[str] | None) -> Gpu:
    """A GPU from a row: id, name, driver, "24564 MiB", "20000 MiB", "8.9"; what is not known is "[N/A]"."""
    if len(row) == 1:
        return Gpu(row[0])
    uuid, name, _, memory, free, compute = (*row, *[""] * 6)[:6]
    capability = re.match(r"(\d+)\.(\d+)", compute)
    return Gpu(
        name=name,
        memory=_bytes(memory),
        compute=(int(capability[1]), int(capability[2])) if capability else None,
        free=_bytes(free),
        processes=None if busy is None else busy.count(uuid),
    )


def _bytes(text: str) -> int | None:
    found = re.match(r"(\d+) MiB", text)
    return int(found[1]) * 2**20 if found else None
