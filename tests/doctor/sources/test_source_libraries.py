from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from comfykit.doctor.sources import probe
from comfykit.doctor.sources.libraries import Numpy, Torch, look_at_numpy, look_at_torch

FAKE_TORCH = """
import types, warnings

__version__ = "2.2.2+cu121"
version = types.SimpleNamespace(cuda="12.1", hip=None)

def available():
    warnings.warn("CUDA initialization: The NVIDIA driver on your system is too old")
    return {available}

class Tensor:
    def numpy(self):
        {numpy}

def zeros(size):
    return Tensor()

cuda = types.SimpleNamespace(
    is_available=available, device_count=lambda: 2, get_arch_list=lambda: ["sm_80", "compute_90"]
)
print("torch greets on standard output")
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder before all others on the path of new interpreters."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def put(folder: Path, name: str, source: str) -> None:
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(source)


def test_the_libraries_that_are_here() -> None:
    numpy, torch = look_at_numpy(), look_at_torch()
    assert numpy == Numpy(metadata.version("numpy"))
    assert (torch.version, torch.error, torch.arrays) == (metadata.version("torch"), None, None)


def test_a_torch_that_works(fake: Path) -> None:
    put(fake, "torch", FAKE_TORCH.format(available=True, numpy="return [0]"))
    assert look_at_torch() == Torch(
        "2.2.2+cu121",
        cuda="12.1",
        devices=2,
        architectures=("sm_80", "compute_90"),
        complaint="CUDA initialization: The NVIDIA driver on your system is too old",
        xpu=0,
        mps=False,
    )


def test_a_torch_without_gpu_and_of_another_numpy(fake: Path) -> None:
    put(
        fake,
        "torch",
        FAKE_TORCH.format(available=False, numpy="raise RuntimeError('Numpy is not available')"),
    )
    torch = look_at_torch()
    assert (torch.error, torch.devices, torch.arrays) == (None, 0, "Numpy is not available")


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (
            "raise OSError('libcudart.so.12: cannot open shared object file')",
            "OSError: libcudart.so.12: cannot open shared object file",
        ),
        ("import no_such_part_of_torch", "ModuleNotFoundError: No module named 'no_such_part_of_torch'"),
        ("def broken(:", "SyntaxError: invalid syntax"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            "the interpreter that imported it crashed (SIGSEGV)",
        ),
        ("import os; os._exit(3)", "the interpreter that imported it ended with exit code 3"),
        ("import sys; sys.exit('no')", "the interpreter that imported it ended with exit code 1"),
        ("", "AttributeError: module 'torch' has no attribute 'cuda'"),
    ],
)
def test_a_torch_that_does_not_import(fake: Path, source: str, error: str) -> None:
    put(fake, "torch", source)
    torch = look_at_torch()
    assert torch.error is not None
    assert torch.error.startswith(error)
    assert torch.version == metadata.version("torch")


def test_a_torch_that_hangs(fake: Path) -> None:
    put(fake, "torch", "import time; time.sleep(60)")
    assert look_at_torch(0.5).error == "the interpreter that imported it gave no answer in 0.5 s"


def test_a_numpy_that_does_not_import(fake: Path) -> None:
    put(fake, "numpy", "raise ImportError('numpy.core.multiarray failed to import')")
    numpy = look_at_numpy()
    assert numpy.error == "ImportError: numpy.core.multiarray failed to import"
    assert numpy.version == metadata.version("numpy")


def test_a_folder_of_that_name_where_the_user_stands_is_not_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "numpy", "raise ImportError")
    monkeypatch.chdir(tmp_path)
    assert look_at_numpy().error is None


def test_a_library_that_is_missing() -> None:
    assert probe.probe("a_library_nobody_has") == {"missing": True}
