from __future__ import annotations

import sys
from pathlib import Path

import pytest

from comfykit.doctor.sources import amd
from comfykit.doctor.sources.system import look_at_container, look_at_system, look_at_variables


def test_this_system() -> None:
    system = look_at_system()
    assert system.os == {"win32": "windows", "darwin": "macos"}.get(sys.platform, "linux")
    assert system.libc == "glibc"


def test_a_container_and_whether_a_gpu_reaches_it(tmp_path: Path) -> None:
    assert look_at_container(tmp_path) is None
    (tmp_path / ".dockerenv").touch()
    found = look_at_container(tmp_path)
    assert found is not None
    assert (found.kind, found.gpu) == ("docker", False)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidiactl").touch()
    found = look_at_container(tmp_path)
    assert found is not None
    assert found.gpu


def test_a_container_by_its_control_group(tmp_path: Path) -> None:
    (tmp_path / "proc" / "1").mkdir(parents=True)
    (tmp_path / "proc" / "1" / "cgroup").write_text("1:name=systemd:/lxc/box\n")
    found = look_at_container(tmp_path)
    assert found is not None
    assert found.kind == "lxc"


def test_of_paths_only_that_they_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/home/ann/lib")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    found = look_at_variables()
    assert found["LD_LIBRARY_PATH"] == "set"
    assert found["CUDA_VISIBLE_DEVICES"] == "0"
    assert "HF_TOKEN" not in found


def test_amd_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program = tmp_path / "rocminfo"
    program.write_text("#!/bin/sh\necho '  Name:   AMD Ryzen'; echo '  Name:      gfx1100  '\n")
    program.chmod(0o755)
    (tmp_path / "version").write_text("6.4.1-83\n")
    assert amd.look(20, tmp_path / "version") == amd.Amd(("gfx1100",), "6.4.1")
    program.write_text("#!/bin/sh\necho 'no /dev/kfd' >&2; exit 1\n")
    assert amd.look(20, tmp_path / "none") == amd.Amd(error="no /dev/kfd")


def test_no_rocm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert amd.look() is None
