from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from comfykit.doctor.facts import Facts
from comfykit.doctor.wheels import advice, choose, install_torch

MakeFacts: TypeAlias = Callable[..., Facts]


def machine(make: MakeFacts, gpu: str | None, driver: str | None, **plain: Any) -> Any:
    gpus = [{"name": gpu}] if gpu else []
    return make(driver={"version": driver, "gpus": gpus}, ours=False, **plain)


@pytest.mark.parametrize(
    ("gpu", "driver", "release", "tag"),
    [
        ("NVIDIA GeForce RTX 5090", "590.44.01", "2.15", "cu130"),
        ("NVIDIA GeForce RTX 5090", "570.124.06", "2.11", "cu128"),
        ("NVIDIA GeForce RTX 3090", "535.183.01", "2.14", "cu126"),
        ("NVIDIA GeForce RTX 3090", "460.91.03", "2.7", "cu118"),
        ("NVIDIA GeForce GTX 1080 Ti", "580.65.06", "2.14", "cu126"),
        ("Tesla K80", "470.82.01", "2.7", "cu118"),
        ("GeForce GT 720", "470.82.01", None, None),
        ("NVIDIA GeForce RTX 3090", "410.48", "1.10", None),
        (None, None, "2.15", "cpu"),
    ],
)
def test_the_build_that_fits(
    make: MakeFacts, gpu: str | None, driver: str | None, release: str | None, tag: str | None
) -> None:
    wheel = choose(machine(make, gpu, driver))
    if release == "1.10":
        assert wheel is None  # such a driver runs CUDA 10.0 at most, and no build for it knows the GPU
        return
    assert (wheel.row.version, wheel.tag) == (release, tag) if wheel else release is None


def test_the_command_brings_the_partners_that_are_there(make: MakeFacts) -> None:
    packages = {"torch": "2.9.0+cu126", "torchvision": "0.24.0+cu126"}
    facts = machine(make, "NVIDIA GeForce RTX 3090", "560.35.03", packages=packages)
    (command,) = install_torch(facts)
    assert shlex.join(command) == (
        "uv pip install --index-url https://download.pytorch.org/whl/cu126 --reinstall-package torch "
        "--reinstall-package torchvision 'torch>=2.10' torchvision"
    )
    assert advice(facts) is None


def test_a_server_with_cuda_11_2_gets_the_last_build_for_11_8_and_is_told_its_limits(make: MakeFacts) -> None:
    packages = {"torch": "2.12.0+cu126", "torchaudio": "2.11.0"}
    facts = machine(make, "Tesla T4", "460.91.03", packages=packages)
    (command,) = install_torch(facts)
    assert command[-2:] == ("torch==2.7.*", "torchaudio==2.7.*")
    assert "https://download.pytorch.org/whl/cu118" in command
    assert "update the NVIDIA driver to 580" in str(advice(facts))
    assert "safetensors" in str(advice(facts))


def test_python_and_glibc_choose_too(make: MakeFacts) -> None:
    old_python = machine(make, None, None, python={"version": "3.9.2"})
    old_system = machine(make, None, None, system={"glibc": "2.17"})
    for facts, release in ((old_python, "2.8"), (old_system, "2.6")):
        wheel = choose(facts)
        assert wheel is not None
        assert wheel.row.version == release
    nothing = machine(make, None, None, python={"version": "3.4.0"})
    assert choose(nothing) is None
    assert "uv venv" in str(advice(nothing))


def test_amd_and_pip(make: MakeFacts) -> None:
    plain = {"amd": {"gpus": ["gfx1100"]}, "python": {"version": "3.12.1", "installer": "pip"}}
    (command,) = install_torch(make(**plain, ours=False))
    assert command[:4] == ("python", "-m", "pip", "install")
    assert "https://download.pytorch.org/whl/rocm7.2" in command
