"""All facts that the checks judge, gathered at once.

Whatever is broken on the machine is a fact here, never an exception: torch that does not import, a
driver that does not answer, a home on a full disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from comfykit.doctor.compat import cuda_of_tag, tables
from comfykit.doctor.sources import (
    amd,
    driver,
    installation,
    libraries,
    memory,
    models,
    network,
    runtime,
    storage,
    system,
)
from comfykit.doctor.sources.amd import Amd
from comfykit.doctor.sources.driver import Driver, Gpu
from comfykit.doctor.sources.installation import Installation
from comfykit.doctor.sources.libraries import Numpy, Torch
from comfykit.doctor.sources.limited import look_at
from comfykit.doctor.sources.memory import Memory
from comfykit.doctor.sources.models import Known, Models
from comfykit.doctor.sources.network import Network
from comfykit.doctor.sources.process import FAREWELL_SECONDS
from comfykit.doctor.sources.runtime import Python
from comfykit.doctor.sources.storage import Storage
from comfykit.doctor.sources.system import Container, System
from comfykit.doctor.versions import build_tag
from comfykit.settings import Settings

# How long each look is waited for. Where nothing hangs, the whole answer takes less than two seconds: torch
# imports in one or two, and since its metadata says most of what matters it is not waited for longer. Only
# a driver that has to wake, or a thing that hangs, takes more than that.
ANSWER_SECONDS = 1.5
IMPORT_SECONDS = 0.4
DRIVER_SECONDS = 4.0
DISK_SECONDS = 2.5
DEEP_SECONDS = 90.0
PACKS_SECONDS = 600.0  # with all of them imported, one after the other


@dataclass(frozen=True, slots=True)
class Needs:
    """What a workflow needs: bytes of models at once, in main memory and on the GPU, and what is missing.

    `classes` maps node classes that nobody here has to the pack that has them, "" where none is known.
    """

    name: str = "the workflow"
    main: int = 0
    gpu: int = 0
    models: tuple[str, ...] = ()
    classes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pack:
    """A custom-node pack that does not import, why, and what to do where that is known."""

    name: str
    error: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What was seen of a machine; a part that nobody looked at is None and is not judged.

    `packages` maps the name of a distribution to its version, None where it is not installed, `builds` what
    torch and its partners were built for; `variables` are the environment variables that matter; `device` is
    the setting of that name. `said` are error messages that somebody saw, `late` the looks that took too
    long. `ours` is False for facts from a file.
    """

    python: Python | None = None
    system: System = field(default_factory=System)
    container: Container | None = None
    packages: Mapping[str, str | None] = field(default_factory=dict)
    builds: Mapping[str, str] = field(default_factory=dict)
    installation: Installation = field(default_factory=Installation)
    numpy: Numpy | None = None
    torch: Torch | None = None
    driver: Driver | None = None
    amd: Amd | None = None
    memory: Memory | None = None
    storage: Storage | None = None
    models: Models | None = None
    network: Network | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    packs: tuple[Pack, ...] = ()
    needs: Needs | None = None
    said: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    device: str = "auto"
    ours: bool = True

    def version(self, name: str) -> str | None:
        """The version of a package; None where it is not installed, or nobody looked."""
        return self.packages.get(name)

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """NVIDIA's GPUs, each with its compute capability where its name says it."""
        found = self.driver.gpus if self.driver else ()
        return tuple(
            gpu if gpu.compute else replace(gpu, compute=tables().compute_of(gpu.name)) for gpu in found
        )

    @property
    def torch_build(self) -> str | None:
        """What torch was built for: "cu126", "cpu", "rocm6.4", "xpu"; None where that is not known."""
        torch = self.torch
        if torch is None or torch.version is None:
            return None
        if torch.hip:
            return f"rocm{torch.hip}"
        if torch.cuda:
            return "cu" + torch.cuda.replace(".", "")
        if torch.devices is not None:  # it was imported, and said that it has no CUDA
            return build_tag(torch.version) or "cpu"
        return build_tag(torch.version) or self.builds.get("torch") or self._default_build(torch.version)

    @property
    def torch_cuda(self) -> str | None:
        """The CUDA version that torch was built with."""
        return (self.torch.cuda if self.torch else None) or cuda_of_tag(self.torch_build)

    def _default_build(self, version: str) -> str | None:
        """What PyPI serves: CUDA on Linux, the CPU elsewhere."""
        row = tables().torch_release(version)
        if row is None or self.python is None:
            return None
        if self.system.os == "linux":
            return "cu" + row.default.replace(".", "") if self.system.machine == "x86_64" else None
        return "cpu"


def complete(facts: Facts) -> Facts:
    """Facts with what follows from others: torch and numpy by their metadata where they were not imported."""
    torch, numpy = facts.torch, facts.numpy
    if torch is None and "torch" in facts.packages:
        torch = Torch(facts.packages["torch"])
    if numpy is None and "numpy" in facts.packages:
        numpy = Numpy(facts.packages["numpy"])
    return replace(facts, torch=torch, numpy=numpy)


def gather(
    settings: Settings,
    *,
    networked: bool = False,
    deep: bool = False,
    known: Known = lambda path: None,
    packs: Callable[[float], tuple[Pack, ...]] = lambda seconds: (),
    spent: float = 0.0,
) -> Facts:
    """Look at this machine, everything side by side, and wait for nothing that hangs.

    torch and numpy are imported by other processes. Where that takes longer, what their metadata says is all
    that is known of them; with `deep` they are waited for. With `networked` the hubs are asked too. `packs`
    says in some seconds which packs do not import; `spent` are seconds that whoever asks has waited.
    """
    importing = DEEP_SECONDS if deep else max(IMPORT_SECONDS, ANSWER_SECONDS - spent)
    driving = DEEP_SECONDS if deep else DRIVER_SECONDS
    reading = DEEP_SECONDS if deep else DISK_SECONDS
    packing = PACKS_SECONDS if deep else DISK_SECONDS
    asking = network.SECONDS + 1.0 if networked else reading
    looks: dict[str, tuple[float, Callable[[], Any]]] = {
        "torch": (importing, lambda: libraries.look_at_torch(importing)),
        "numpy": (importing, lambda: libraries.look_at_numpy(importing)),
        "driver": (driving, lambda: driver.look(driving / 2)),
        "amd": (driving, lambda: amd.look(driving)),
        "packages": (reading, runtime.look_at_packages),
        "memory": (reading, memory.look),
        "storage": (reading, lambda: storage.look(settings.home)),
        "models": (reading, lambda: models.look(settings.home, reading / 2, known)),
        "installation": (reading, lambda: installation.look(seconds=reading / 2)),
        "container": (reading, system.look_at_container),
        "packs": (packing, lambda: packs(packing)),
        "network": (
            asking,
            (lambda: network.look(network.endpoints())) if networked else network.look_around,
        ),
    }
    looked = look_at(
        {name: look for name, (_, look) in looks.items()},
        # What is killed at its limit takes a moment to say so.
        {name: seconds + FAREWELL_SECONDS for name, (seconds, _) in looks.items()},
    )
    late = tuple(name for name in looked.late if name not in ("torch", "numpy"))
    return complete(
        Facts(
            python=runtime.look_at_python(),
            system=system.look_at_system(),
            builds=runtime.look_at_builds(looked.values.get("packages", {})),
            variables=system.look_at_variables(),
            device=settings.device,
            late=late,
            **_found(looked.values, deep=deep),
        )
    )


def _found(values: Mapping[str, Any], *, deep: bool) -> dict[str, Any]:
    """What was found. An import that was not waited for to the end (`deep`) is unknown, not broken."""
    return {
        name: replace(value, error=None)
        if isinstance(value, Torch | Numpy) and value.late and not deep
        else value
        for name, value in values.items()
    }
