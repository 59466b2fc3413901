from __future__ import annotations

from dataclasses import replace

import pytest

from comfykit.doctor.checks.torch import check
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Status
from comfykit.doctor.sources.libraries import Torch


@pytest.mark.parametrize(
    ("torch", "status", "words"),
    [
        (Torch("2.13.0+cpu"), Status.OK, "2.13.0+cpu (CPU only)"),
        (Torch("2.10.0", cuda="12.8"), Status.OK, "2.10.0 (CUDA 12.8)"),
        (Torch("2.10.0+rocm6.3", hip="6.3.4"), Status.OK, "(ROCm 6.3.4)"),
        (Torch("2.9.1", cuda="12.8"), Status.FAILURE, "CVE-2026-24747"),
        (Torch("1.13.1"), Status.FAILURE, "1.13.1 (CPU only) is too old"),
        (Torch(None), Status.FAILURE, "not installed"),
        (
            Torch("2.11.0", error="OSError: libcudart.so.12: cannot open shared object file"),
            Status.FAILURE,
            "2.11.0 does not import: OSError: libcudart.so.12",
        ),
    ],
)
def test_torch_alone(healthy: Facts, torch: Torch, status: Status, words: str) -> None:
    (finding,) = check(replace(healthy, torch=torch))
    assert finding.status is status
    assert words in finding.message
    assert (finding.hint is None) is (status is Status.OK)


def test_the_hint_is_the_build_that_fits_the_gpu(healthy: Facts) -> None:
    (finding,) = check(replace(healthy, torch=Torch(None)))
    assert finding.hint is not None
    assert "whl/cu126" in finding.hint
