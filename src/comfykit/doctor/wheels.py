"""Which build of torch fits a machine, as a command to install it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from comfykit.doctor.commands import INDEX, install
from comfykit.doctor.compat import TorchRelease, runs_on, tables, tag_of_cuda
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Command
from comfykit.doctor.requirements import TORCH
from comfykit.doctor.versions import at_least, release, within

# Partners that are brought along where they are installed: their builds must be of the same release.
PARTNERS = ("torchvision", "torchaudio")

# The releases that have wheels for Intel Macs.
INTEL_MACS = "1.7-2.2"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A release of torch and the tag of a build of it; without a tag, the one that PyPI serves."""

    row: TorchRelease
    tag: str | None

    @property
    def is_enough(self) -> bool:
        """Whether comfykit runs with it."""
        return at_least(self.row.version, TORCH)


def choose(facts: Facts) -> Wheel | None:
    """The newest release that runs here, in the build that suits driver and GPUs; None where none does."""
    return next(_fitting(facts), None)


def install_torch(facts: Facts) -> tuple[Command, ...]:
    """The command that brings a torch that can use this machine's GPUs; none where no build can."""
    wheel = choose(facts)
    if wheel is None:
        return ()
    partners = [name for name in PARTNERS if facts.version(name)]
    if wheel.is_enough:
        wanted = [f"torch>={TORCH}", *partners]
    else:
        pairs = {"torchvision": wheel.row.torchvision, "torchaudio": wheel.row.torchaudio}
        wanted = [f"torch=={wheel.row.version}.*", *(f"{name}=={pairs[name]}.*" for name in partners)]
    index = INDEX + wheel.tag if wheel.tag else None
    return (install(facts, *wanted, index=index, reinstall=True),)


def advice(facts: Facts) -> str | None:
    """What is to be said beside the command: that it is not enough, or that there is none."""
    wheel = choose(facts)
    if wheel is None:
        return (
            "no build of torch runs on this GPU: use another one, or the CPU"
            if facts.gpus
            else "no build of torch runs with this Python: make an environment with another one "
            "(uv venv --python 3.12)"
        )
    if wheel.is_enough:
        return None
    if is_intel_mac(facts):
        return f"wheels for Intel Macs end at torch {wheel.row.version}; comfykit needs {TORCH}"
    driver = facts.driver.version if facts.driver else None
    is_old = driver is not None and not at_least(driver, tables().minor["12"]["linux"])
    update = "update the NVIDIA driver to 580 or later if you can; " if is_old else ""
    return (
        f"{update}this is the newest build that runs here; comfykit needs torch {TORCH}, so with it use "
        "safetensors files alone"
    )


def _fitting(facts: Facts) -> Iterator[Wheel]:
    for row in reversed(tables().torch):
        if not _runs(row, facts):
            continue
        for tag in _tags(row, facts):
            yield Wheel(row, tag)


def _runs(row: TorchRelease, facts: Facts) -> bool:
    """Whether a release has wheels for this Python, this C library and this kind of machine."""
    if is_intel_mac(facts) and not within(row.version, INTEL_MACS):
        return False
    if facts.python and not within(facts.python.version, row.python):
        return False
    glibc = facts.system.glibc
    return glibc is None or facts.system.os != "linux" or at_least(glibc, row.glibc)


def _tags(row: TorchRelease, facts: Facts) -> Iterator[str | None]:
    """The builds of a release that run here, the best first."""
    if facts.system.os == "macos" or (facts.amd is None and not _nvidia(facts)):
        yield None if facts.system.os == "macos" else "cpu"
    elif not _nvidia(facts):
        yield tables().rocm["index"].removeprefix(INDEX)
    else:
        fitting = [cuda for cuda in row.cuda if _drives(facts, cuda) and _has_code(facts, row, cuda)]
        fitting.sort(key=lambda cuda: _preference(facts, row, cuda))
        yield from map(tag_of_cuda, fitting)


def _nvidia(facts: Facts) -> bool:
    return bool(facts.gpus) and facts.device != "cpu"


def _drives(facts: Facts, cuda: str) -> bool:
    """Whether the driver runs builds of a CUDA version, if need be by minor-version compatibility."""
    driver = facts.driver
    oldest = tables().oldest_driver(cuda, driver_system(facts))
    if driver is None:
        return True
    if driver.version and release(driver.version) and oldest:
        return at_least(driver.version, oldest)
    return driver.cuda is None or release(driver.cuda)[0] >= release(cuda)[0]


def _has_code(facts: Facts, row: TorchRelease, cuda: str) -> bool:
    built = tables().architectures_of(row.version, cuda, facts.system.os)
    return built is None or all(gpu.compute is None or runs_on(built, gpu.compute) for gpu in facts.gpus)


def _preference(facts: Facts, row: TorchRelease, cuda: str) -> tuple[bool, bool, tuple[int, ...]]:
    """Builds that the driver supports in full go first, then PyPI's own, then the oldest."""
    supported = newest_cuda(facts)
    in_full = supported is not None and release(cuda) <= release(supported)
    return not in_full, not (in_full and cuda == row.default), release(cuda)


def newest_cuda(facts: Facts) -> str | None:
    """The newest CUDA version that the driver supports in full."""
    driver = facts.driver
    if driver is None:
        return None
    return driver.cuda or (
        tables().cuda_of_driver(driver.version, driver_system(facts)) if driver.version else None
    )


def is_intel_mac(facts: Facts) -> bool:
    """Whether this is a Mac that wheels of torch are no longer built for."""
    return facts.system.os == "macos" and facts.system.machine == "x86_64"


def driver_system(facts: Facts) -> str:
    """The system that the driver belongs to: below WSL that is Windows."""
    return "windows" if facts.system.os == "windows" or facts.system.wsl else "linux"
