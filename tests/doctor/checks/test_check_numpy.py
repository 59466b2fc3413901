from __future__ import annotations

from dataclasses import replace

import pytest

from comfykit.doctor.checks.numpy import check
from comfykit.doctor.facts import Facts
from comfykit.doctor.interface import Status
from comfykit.doctor.sources.libraries import Numpy, Torch


@pytest.mark.parametrize(
    ("numpy", "status", "words"),
    [
        (Numpy("2.4.6"), Status.OK, "2.4.6"),
        (Numpy("1.26.0"), Status.OK, "1.26.0"),
        (Numpy("1.24.4"), Status.FAILURE, "1.24.4 is too old"),
        (Numpy(None), Status.FAILURE, "not installed"),
        (Numpy("2.1.0", "ImportError: libopenblas.so"), Status.FAILURE, "ImportError: libopenblas.so"),
    ],
)
def test_numpy_alone(healthy: Facts, numpy: Numpy, status: Status, words: str) -> None:
    (finding,) = check(replace(healthy, numpy=numpy))
    assert finding.status is status
    assert words in finding.message
    assert (finding.hint is None) is (status is Status.OK)


@pytest.mark.parametrize(
    ("torch", "hint"),
    [("2.2.2+cu121", "torch>=2.10"), ("2.11.0+cu126", "pip install --force-reinstall 'numpy")],
)
def test_a_torch_of_another_numpy_is_named_and_replaced_if_it_is_the_old_one(
    healthy: Facts, torch: str, hint: str
) -> None:
    broken = Torch(torch, cuda="12.1", devices=1, arrays="Numpy is not available")
    (finding,) = check(replace(healthy, torch=broken))
    assert finding.status is Status.FAILURE
    assert "2.1.0" in finding.message
    assert torch in finding.message
    assert finding.hint is not None
    assert hint in finding.hint


def test_a_missing_numpy_is_said_once(healthy: Facts) -> None:
    torch = replace(healthy.torch, arrays="Numpy is not available")
    (finding,) = check(replace(healthy, numpy=Numpy(None), torch=torch))
    assert finding.message == "not installed"
