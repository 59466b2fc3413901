from __future__ import annotations

from dataclasses import replace

import pytest

from comfykit.doctor.checks.gpu import check
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Status
from comfykit.doctor.sources.driver import Driver, Gpu
from comfykit.doctor.sources.libraries import Torch

CPU = Torch("2.13.0+cpu")
MISMATCH = Driver(error="Failed to initialize NVML: Driver/library version mismatch")
SILENT = Driver(error="nvidia-smi gave no answer in 15 s")


def test_each_gpu_has_a_line(healthy: Facts) -> None:
    gpus = (Gpu("NVIDIA H200", 140 * 2**30, (9, 0)), Gpu("NVIDIA GB10", None, None))
    first, second = check(replace(healthy, driver=Driver("580.65", "13.0", gpus)))
    assert (first.status, first.message) == (
        Status.OK,
        "NVIDIA H200, 140.0 GiB, driver 580.65, CUDA up to 13.0",
    )
    assert (second.status, second.message) == (Status.OK, "NVIDIA GB10, driver 580.65, CUDA up to 13.0")


@pytest.mark.parametrize("driver", [None, Driver()])
@pytest.mark.parametrize(
    ("device", "status"), [("auto", Status.WARNING), ("cpu", Status.OK), ("cuda", Status.FAILURE)]
)
def test_no_gpu(healthy: Facts, driver: Driver | None, device: str, status: Status) -> None:
    (finding,) = check(replace(healthy, driver=driver, torch=CPU, device=device))
    assert finding.status is status


def test_a_gpu_that_torch_alone_can_see(healthy: Facts) -> None:
    torch = Torch("2.11.0+rocm6.3", hip="6.3", devices=2)
    (finding,) = check(replace(healthy, driver=None, torch=torch))
    assert finding.status is Status.OK
    assert finding.message.startswith("2 that torch can use")


@pytest.mark.parametrize(
    ("driver", "hint"), [(MISMATCH, "restart the machine"), (SILENT, "run nvidia-smi by itself")]
)
@pytest.mark.parametrize(
    ("device", "devices", "status"),
    [("auto", 0, Status.FAILURE), ("auto", 1, Status.WARNING), ("cpu", 0, Status.WARNING)],
)
def test_a_driver_that_does_not_answer(
    healthy: Facts, driver: Driver, hint: str, device: str, devices: int, status: Status
) -> None:
    torch = replace(healthy.torch, devices=devices)
    (finding,) = check(replace(healthy, driver=driver, torch=torch, device=device))
    assert finding.status is status
    assert driver.error is not None
    assert driver.error in finding.message
    assert finding.hint is not None
    assert hint in finding.hint
