from __future__ import annotations

import sys
from pathlib import Path

import pytest

from comfykit.doctor.checks.torch import check
from comfykit.doctor.facts import Facts, gather
from comfykit.doctor.sources.driver import Driver
from comfykit.doctor.sources.libraries import Torch
from comfykit.doctor.sources.runtime import Python
from comfykit.doctor.sources.system import System
from comfykit.settings import resolve


def test_everything_is_looked_at(tmp_path: Path) -> None:
    settings = resolve({"home": tmp_path, "device": "cpu"}, environment={}, cwd=tmp_path)
    facts = gather(settings, deep=True)
    assert facts.python
    assert facts.memory
    assert facts.storage
    assert facts.models
    assert facts.torch
    assert facts.numpy
    assert facts.python.executable == sys.executable
    assert facts.torch.error is None
    assert facts.numpy.error is None
    assert facts.packages["transformers"]
    assert facts.memory.total > 0
    assert facts.storage.home == tmp_path
    assert facts.models.read == 0
    assert facts.device == "cpu"


MEET = """
import pathlib, time
here = pathlib.Path(__file__).parent
(here / f"{__name__}.came").touch()
for _ in range(300):
    if len(list(here.glob("*.came"))) == 3:
        raise ImportError("met the others")
    time.sleep(0.1)
"""


def test_slow_looks_run_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch, numpy and the driver each wait for the two others."""
    for name in ("torch", "numpy"):
        (tmp_path / f"{name}.py").write_text(MEET)
    smi = tmp_path / "nvidia-smi"
    smi.write_text(
        f"#!/bin/sh\ncd '{tmp_path}'; touch smi.came\n"
        "until test -e torch.came && test -e numpy.came; do sleep 0.1; done\n"
        "echo No devices were found; exit 6\n"
    )
    smi.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    facts = gather(resolve({"home": tmp_path}, environment={}, cwd=tmp_path), deep=True)
    assert facts.torch
    assert facts.numpy
    assert facts.torch.error == facts.numpy.error == "ImportError: met the others"
    assert facts.driver == Driver()


@pytest.mark.parametrize(("deep", "said"), [(True, "CK202"), (False, "not waited for")])
def test_a_torch_whose_import_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deep: bool, said: str
) -> None:
    """Unknown where nobody waits for it, and broken where it was waited for."""
    (tmp_path / "torch.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("comfykit.doctor.facts.DEEP_SECONDS", 2.0)
    facts = gather(resolve({"home": tmp_path}, environment={}, cwd=tmp_path), deep=deep)
    assert facts.torch is not None
    assert facts.torch.late
    (found,) = (one for one in check(facts) if said in f"{one.code} {one.message}")
    assert found.check == "torch"


def test_a_driver_that_hangs_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\nexec sleep 600\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    facts = gather(resolve({"home": tmp_path}, environment={}, cwd=tmp_path))
    assert facts.driver is not None
    assert facts.driver.error == "nvidia-smi gave no answer in 2 s"


def test_the_build_of_torch_is_known_without_importing_it() -> None:
    """By its tag, by what its own file says, or by what PyPI serves."""
    python = Python("3.12.1")
    assert Facts(python, torch=Torch("2.6.0+cu124")).torch_cuda == "12.4"
    assert Facts(python, torch=Torch("2.6.0"), builds={"torch": "cu118"}).torch_cuda == "11.8"
    assert Facts(python, torch=Torch("2.8.0")).torch_cuda == "12.8"
    assert Facts(python, System("windows"), torch=Torch("2.8.0")).torch_build == "cpu"
    assert Facts(python, torch=Torch("2.2.0a0+81ea7a4")).torch_cuda == "12.1"
    assert Facts(python, torch=Torch("2.6.0+rocm6.2")).torch_build == "rocm6.2"
