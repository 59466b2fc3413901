from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from comfykit.doctor.facts import gather
from comfykit.settings import resolve


def test_everything_is_looked_at(tmp_path: Path) -> None:
    settings = resolve({"home": tmp_path, "device": "cpu"}, environment={}, cwd=tmp_path)
    facts = gather(settings)
    assert facts.python.executable == sys.executable
    assert facts.torch.error is None
    assert facts.numpy.error is None
    assert facts.packages["transformers"]
    assert facts.memory.total > 0
    assert facts.storage.home == tmp_path
    assert facts.models.read == 0
    assert facts.device == "cpu"


def test_slow_looks_run_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "numpy"):
        (tmp_path / f"{name}.py").write_text("import time; time.sleep(1.5)\nraise ImportError('slept')")
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\nsleep 1.5\necho No devices were found\nexit 6\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    start = time.monotonic()
    facts = gather(resolve({"home": tmp_path}, environment={}, cwd=tmp_path))
    assert time.monotonic() - start < 4.4
    assert (facts.torch.error, facts.numpy.error) == ("ImportError: slept", "ImportError: slept")
    assert facts.driver is not None
    assert facts.driver.gpus == ()
