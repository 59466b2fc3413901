from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from comfykit.doctor.facts import Facts, complete
from comfykit.doctor.requirements import LIBRARIES
from comfykit.doctor.schema import from_plain
from comfykit.doctor.sources.driver import Driver, Gpu
from comfykit.doctor.sources.libraries import Numpy, Torch
from comfykit.doctor.sources.memory import Memory
from comfykit.doctor.sources.models import Models
from comfykit.doctor.sources.runtime import Python
from comfykit.doctor.sources.storage import Storage

GIB = 2**30

MakeFacts: TypeAlias = Callable[..., Facts]


@pytest.fixture
def healthy() -> Facts:
    """A machine with nothing wrong; tests break one thing with `dataclasses.replace`."""
    return Facts(
        python=Python("3.12.3", "/usr/bin/python3"),
        packages={**LIBRARIES, "scipy": "1.14.1"},
        numpy=Numpy("2.1.0"),
        torch=Torch("2.11.0+cu126", cuda="12.6", devices=1, architectures=("sm_80", "sm_86", "compute_90")),
        driver=Driver("560.35.03", "12.6", (Gpu("NVIDIA GeForce RTX 3090", 24 * GIB, (8, 6)),)),
        memory=Memory(32 * GIB, 24 * GIB),
        storage=Storage(free=100 * GIB),
        models=Models(read=4),
    )


@pytest.fixture
def make() -> MakeFacts:
    """Facts from plain values, as a file of facts has them."""

    def facts(**plain: Any) -> Facts:
        return complete(from_plain(Facts, plain))

    return facts
