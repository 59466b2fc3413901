"""All facts that the checks judge, gathered at once.

Whatever is broken on the machine is a fact here, never an exception: torch that does not import, a
driver that does not answer, a home on a full disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from comfykit.doctor.sources import driver, libraries, memory, models, runtime, storage
from comfykit.settings import Settings


@dataclass(frozen=True, slots=True)
class Facts:
    """What was seen of a machine.

    `packages` maps the name of a distribution to its version, None where it is not installed;
    `driver` is None where there is no nvidia-smi; `device` is the setting of that name.
    """

    python: runtime.Python
    packages: Mapping[str, str | None]
    numpy: libraries.Numpy
    torch: libraries.Torch
    driver: driver.Driver | None
    memory: memory.Memory
    storage: storage.Storage
    models: models.Models
    device: str = "auto"


def gather(settings: Settings) -> Facts:
    """Look at this machine; the slow looks (importing torch, asking the driver) run side by side."""
    with ThreadPoolExecutor() as pool:
        torch = pool.submit(libraries.look_at_torch)
        numpy = pool.submit(libraries.look_at_numpy)
        nvidia = pool.submit(driver.look)
        return Facts(
            python=runtime.look_at_python(),
            packages=runtime.look_at_packages(),
            memory=memory.look(),
            storage=storage.look(settings.home),
            models=models.look(settings.home),
            numpy=numpy.result(),
            torch=torch.result(),
            driver=nvidia.result(),
            device=settings.device,
        )
