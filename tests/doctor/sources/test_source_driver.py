from __future__ import annotations

import time
from pathlib import Path

import pytest

from comfykit.doctor.sources.driver import Driver, Gpu, look

BANNER = """
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 560.35.03              Driver Version: 560.35.03      CUDA Version: 12.6     |
+-----------------------------------------------------------------------------------------+
"""
NO_FIELD = 'Field "compute_cap" is not a valid field to query.'


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a test puts its nvidia-smi; no other one is found."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path / "nvidia-smi"


def write(smi: Path, query: str, banner: str = BANNER, busy: str = "exit 1") -> None:
    """An nvidia-smi that answers a query with the shell commands `query`, and shows its banner."""
    smi.write_text(
        f'#!/bin/sh\ncase "$1" in --query-gpu=*) {query};; --query-compute-apps=*) {busy};; '
        f"*) cat <<'END'\n{banner}\nEND\nesac\n"
    )
    smi.chmod(0o755)


def test_there_is_none(smi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(smi.parent))
    assert look() == Driver(present=False)


def test_two_gpus(smi: Path) -> None:
    write(
        smi,
        'echo "GPU-1, NVIDIA GeForce RTX 4090, 560.35.03, 24564 MiB, 20000 MiB, 8.9"; '
        'echo "GPU-2, NVIDIA GB10, 560.35.03, [N/A], [N/A], [N/A]"',
        busy="echo GPU-1; echo GPU-1",
    )
    assert look() == Driver(
        "560.35.03",
        "12.6",
        (
            Gpu("NVIDIA GeForce RTX 4090", 24564 * 2**20, (8, 9), 20000 * 2**20, 2),
            Gpu("NVIDIA GB10", None, None, None, 0),
        ),
    )


@pytest.mark.parametrize(
    ("banner", "cuda"),
    [
        ("| CUDA Version: 13.0     |", "13.0"),
        ("| CUDA UMD Version: 13.1     |", "13.1"),
        ("| CUDA Version: N/A      |", None),
        ("", None),
    ],
)
def test_the_cuda_version_of_the_banner(smi: Path, banner: str, cuda: str | None) -> None:
    write(smi, 'echo "GPU-1, NVIDIA T4, 580.65.06, 15360 MiB, 15000 MiB, 7.5"', banner)
    driver = look()
    assert driver.cuda == cuda


def test_an_old_driver_that_does_not_know_compute_cap(smi: Path) -> None:
    write(
        smi,
        f"""case "$1" in *compute_cap*) echo '{NO_FIELD}'; exit 2;;
        *) echo "GPU-1, Tesla K80, 470.82.01, 11441 MiB, 11000 MiB";; esac""",
    )
    driver = look()
    assert driver.gpus == (Gpu("Tesla K80", 11441 * 2**20, None, 11000 * 2**20),)
    assert driver.error is None


def test_a_driver_without_gpus(smi: Path) -> None:
    write(smi, 'echo "No devices were found"; exit 6')
    assert look() == Driver()


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (
            'echo "Failed to initialize NVML: Driver/library version mismatch"; '
            'echo "NVML library version: 560.35"; exit 18',
            "Failed to initialize NVML: Driver/library version mismatch",
        ),
        ('echo "cannot load libnvidia-ml.so" >&2; exit 127', "cannot load libnvidia-ml.so"),
        ("exit 9", "nvidia-smi ended with exit code 9"),
        ("kill -SEGV $$", "nvidia-smi crashed (SIGSEGV)"),
    ],
)
def test_a_driver_that_fails(smi: Path, query: str, error: str) -> None:
    write(smi, query)
    assert look() == Driver(error=error)


def test_a_driver_that_hangs(smi: Path) -> None:
    write(smi, "exec sleep 60")
    start = time.monotonic()
    assert look(0.5) == Driver(error="nvidia-smi gave no answer in 0.5 s")
    assert time.monotonic() - start < 20


def test_a_driver_that_says_what_nobody_understands(smi: Path) -> None:
    write(smi, 'echo "gibberish"')
    assert look() == Driver(None, "12.6", (Gpu("gibberish", None, None),))
