from __future__ import annotations

from dataclasses import replace

import pytest

from comfykit.doctor.checks.cuda import check
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Status
from comfykit.doctor.sources.driver import Driver, Gpu
from comfykit.doctor.sources.libraries import Torch

CPU_BUILD = Torch("2.13.0+cpu")


def gpu(major: int, minor: int) -> Gpu:
    return Gpu("NVIDIA test", 8 * 2**30, (major, minor))


@pytest.mark.parametrize(("device", "status"), [("auto", Status.WARNING), ("cuda", Status.FAILURE)])
def test_a_cpu_build_beside_a_gpu_is_named_with_the_build_to_install(
    healthy: Facts, device: str, status: Status
) -> None:
    (finding,) = check(replace(healthy, torch=CPU_BUILD, device=device))
    assert finding.status is status
    assert "CPU only" in finding.message
    assert finding.hint == (
        "pip install --force-reinstall 'torch>=2.10' --index-url https://download.pytorch.org/whl/cu126"
    )


def test_a_build_newer_than_the_driver(healthy: Facts) -> None:
    torch = Torch("2.12.0+cu130", cuda="13.0", devices=0, complaint="The NVIDIA driver is too old")
    (finding,) = check(replace(healthy, torch=torch))
    assert finding.status is Status.FAILURE
    assert "built for CUDA 13.0, newer than the CUDA 12.6 that driver 560.35.03 supports" in finding.message
    assert finding.hint is not None
    assert "whl/cu126" in finding.hint


def test_a_newer_build_that_does_find_the_gpu_is_fine(healthy: Facts) -> None:
    (finding,) = check(replace(healthy, torch=Torch("2.11.0+cu128", cuda="12.8", devices=1)))
    assert finding.status is Status.OK


def test_a_fitting_build_that_finds_no_gpu_says_what_torch_said(healthy: Facts) -> None:
    torch = Torch("2.11.0+cu126", cuda="12.6", devices=0, complaint="CUDA unknown error")
    (finding,) = check(replace(healthy, torch=torch))
    assert finding.status is Status.FAILURE
    assert "CUDA unknown error" in finding.message
    assert finding.hint is not None
    assert "CUDA_VISIBLE_DEVICES" in finding.hint


@pytest.mark.parametrize(
    ("architectures", "compute", "fits"),
    [
        (("sm_80",), (8, 0), True),
        (("sm_80",), (8, 9), True),
        (("sm_86",), (8, 0), False),
        (("sm_75", "sm_90"), (8, 6), False),
        (("sm_75", "sm_80", "sm_120"), (6, 1), False),
        (("sm_90a",), (9, 0), True),
        (("sm_75", "compute_90"), (12, 0), True),
        (("sm_75", "compute_90"), (8, 0), False),
        (("sm_100", "sm_120"), (12, 1), True),
        (("gfx942",), (9, 0), False),
        ((), (6, 1), True),
    ],
)
def test_code_for_the_gpu(
    healthy: Facts, architectures: tuple[str, ...], compute: tuple[int, int], fits: bool
) -> None:
    torch = replace(healthy.torch, architectures=architectures)
    (finding,) = check(replace(healthy, torch=torch, driver=Driver("560", "12.6", (gpu(*compute),))))
    assert finding.status is (Status.OK if fits else Status.FAILURE)
    assert fits or "sm_{}{}".format(*compute) in finding.message


def test_of_two_gpus_only_the_one_without_code_is_named(healthy: Facts) -> None:
    driver = Driver("560", "12.6", (gpu(8, 6), Gpu("GTX 1080", None, (6, 1))))
    (finding,) = check(replace(healthy, driver=driver))
    assert finding.status is Status.FAILURE
    assert "GTX 1080" in finding.message


@pytest.mark.parametrize(
    "changes",
    [
        {"device": "cpu", "torch": CPU_BUILD},
        {"driver": None},
        {"driver": Driver()},
        {"driver": Driver(error="hangs")},
        {"torch": Torch(None)},
        {"torch": Torch("2.11.0", error="crashed")},
        {"torch": Torch("2.11.0+rocm6.3", hip="6.3", devices=1)},
    ],
)
def test_nothing_to_judge(healthy: Facts, changes: dict[str, object]) -> None:
    assert list(check(replace(healthy, **changes))) == []
