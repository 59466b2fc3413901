"""torch can use the GPU that is there: its build, the driver and the GPU go together."""

from __future__ import annotations

from collections.abc import Iterator

from comfykit.doctor.catalogue import finding, fine
from comfykit.doctor.compat import runs_on, tables
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Finding, Status
from comfykit.doctor.sources.driver import Gpu
from comfykit.doctor.versions import at_least, release
from comfykit.doctor.wheels import advice, driver_system, install_torch, newest_cuda

# What cudaMallocAsync needs: memory pools in the driver, and a GPU that has them.
POOLS_CUDA = "11.4"
POOLS_COMPUTE = (6, 0)


def check(facts: Facts) -> Iterator[Finding]:
    """Judge torch's build against driver and GPU; has nothing to say where one of them is not there."""
    torch, gpus = facts.torch, facts.gpus
    if facts.device == "cpu" or not gpus or torch is None or torch.version is None:
        return
    problems = [*_hidden(facts), *_allocator(facts)]
    cuda, build = facts.torch_cuda, facts.torch_build
    if cuda is None and build is not None and not facts.amd:
        what = "the CPU only" if build == "cpu" else build
        said = f"torch {torch.version} is a build for {what} and leaves the GPU idle"
        status = Status.FAILURE if facts.device == "cuda" else None
        problems.append(
            finding("CK301", said, status=status, commands=install_torch(facts), hint=advice(facts))
        )
    elif cuda is not None:
        problems += [*_driver(facts, cuda), *_code(facts, cuda)]
        if torch.devices == 0 and not problems:
            said = f": {torch.complaint}" if torch.complaint else ""
            problems.append(
                finding("CK306", f"torch {torch.version} for CUDA {cuda} finds no GPU it can use{said}")
            )
    yield from problems
    if not problems and cuda is not None:
        newest = newest_cuda(facts)
        yield fine(
            "cuda", f"torch is built for CUDA {cuda}" + (f", the driver knows {newest}" if newest else "")
        )


def _driver(facts: Facts, cuda: str) -> Iterator[Finding]:
    """Whether the driver runs the build; within a major version older drivers do."""
    driver, torch = facts.driver, facts.torch
    if driver is None or torch is None or torch.devices:
        return
    oldest = tables().oldest_driver(cuda, driver_system(facts))
    newest = newest_cuda(facts)
    too_old = False
    if driver.version and oldest:
        too_old = not at_least(driver.version, oldest)
    elif newest:
        too_old = release(newest)[0] < release(cuda)[0]
    if torch.devices == 0 and newest and release(newest) < release(cuda):
        too_old = True
    if too_old:
        supports = f", which knows CUDA {newest}" if newest else ""
        needs = f" needs driver {oldest}" if oldest else " needs a newer driver"
        said = (
            f"torch {torch.version} is built for CUDA {cuda} and{needs}, "
            f"and this one is {driver.version or 'older'}{supports}"
        )
        hint = advice(facts) or "or update the NVIDIA driver"
        yield finding("CK303", said, commands=install_torch(facts), hint=hint)


def _code(facts: Facts, cuda: str) -> Iterator[Finding]:
    """Whether the build has code for every GPU, by its own list or by that of its release."""
    torch = facts.torch
    if torch is None or torch.version is None:
        return
    own = _own(torch.architectures)
    built = own or (
        tables().architectures_of(torch.version, cuda, facts.system.os)
        if facts.system.machine == "x86_64"
        else None
    )
    for gpu in facts.gpus:
        if built and gpu.compute and not runs_on(built, gpu.compute):
            kinds = ", ".join(entry.rstrip("+") for entry in built)
            said = (
                f"torch {torch.version} for CUDA {cuda} has no code for the {gpu.name} "
                f"({_name(gpu)}), only for {kinds}"
            )
            yield finding("CK305", said, commands=install_torch(facts), hint=advice(facts))


def _own(architectures: tuple[str, ...]) -> tuple[str, ...]:
    """What torch says it has code for ("sm_86", "compute_90"), as the table writes it ("8.6", "9.0+")."""
    found = []
    for architecture in architectures:
        kind, _, number = architecture.partition("_")
        digits = number.rstrip("af")
        if digits.isdigit() and kind in ("sm", "compute"):
            found.append(f"{digits[:-1] or 0}.{digits[-1]}" + ("+" if kind == "compute" else ""))
    return tuple(found)


def _hidden(facts: Facts) -> Iterator[Finding]:
    visible = facts.variables.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return
    first = visible.split(",", maxsplit=1)[0].strip()
    if first in ("", "-1") or (first.isdigit() and int(first) >= len(facts.gpus)):
        said = f"CUDA_VISIBLE_DEVICES is {visible!r}, and there {_count(len(facts.gpus))}"
        yield finding("CK307", said)


def _allocator(facts: Facts) -> Iterator[Finding]:
    """cudaMallocAsync is set where driver or GPU have no memory pools."""
    chosen = facts.variables.get("PYTORCH_CUDA_ALLOC_CONF", facts.variables.get("PYTORCH_ALLOC_CONF", ""))
    if "cudaMallocAsync" not in chosen:
        return
    newest = newest_cuda(facts)
    for gpu in facts.gpus:
        old = gpu.compute is not None and gpu.compute < POOLS_COMPUTE
        if old or (newest and not at_least(newest, POOLS_CUDA)):
            why = f"the {gpu.name} has no memory pools" if old else f"the driver knows CUDA {newest} only"
            yield finding("CK308", f"the allocator cudaMallocAsync is set, and {why}")
            return


def _count(number: int) -> str:
    return f"is {number} GPU, number 0" if number == 1 else f"are {number} GPUs, from number 0"


def _name(gpu: Gpu) -> str:
    return "sm_{}{}".format(*gpu.compute) if gpu.compute else "of an unknown kind"
