from __future__ import annotations

import pytest

from comfykit.doctor.sources.driver import Driver, Gpu
from comfykit.doctor.wheels import fitting, install_torch


def driver(cuda: str | None, *computes: tuple[int, int] | None) -> Driver:
    return Driver("1", cuda, tuple(Gpu("gpu", None, compute) for compute in computes))


@pytest.mark.parametrize(
    ("installed", "tag"),
    [
        (driver("13.0", (8, 6)), "cu130"),
        (driver("13.1", (12, 0)), "cu130"),
        (driver("13.0", (6, 1)), "cu126"),
        (driver("13.0", None), "cu130"),
        (driver("12.2", (8, 9)), "cu126"),
        (driver("12.8", (12, 0)), None),
        (driver("11.8", (8, 6)), None),
        (driver("13.0", (3, 7)), None),
        (driver("13.0", (6, 1), (12, 0)), None),
        (driver(None, (8, 6)), None),
    ],
)
def test_the_build_that_fits(installed: Driver, tag: str | None) -> None:
    assert fitting(installed) == tag


def test_the_command() -> None:
    assert install_torch() == "pip install --upgrade 'torch>=2.10'"
    assert install_torch(Driver(error="silent")) == "pip install --upgrade 'torch>=2.10'"
    assert install_torch(driver("12.4", (8, 0))).endswith("https://download.pytorch.org/whl/cu126")
    assert install_torch(driver("11.8", (8, 0))).startswith("update the NVIDIA driver to 580 or later, then")
    assert "update" not in install_torch(driver("13.0", (3, 7)))
