"""A real virtual environment, broken in ten ways: each is named and mended, and then all is well."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from comfykit.doctor.sources.runtime import uv_program

SOURCE = Path(__file__).parents[2] / "src"

TORCH = """
import types
__version__ = "2.12.0"
version = types.SimpleNamespace(cuda=None, hip=None)
cuda = types.SimpleNamespace(is_available=lambda: False, device_count=lambda: 0, get_arch_list=list)
zeros = lambda size: types.SimpleNamespace(numpy=lambda: [0])
"""


def wheel(folder: Path, name: str, version: str, code: str = "", module: str | None = None) -> None:
    """A small wheel with a module and a library that is as good as any."""
    module = module or name.replace("-", "_")
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    files = {
        f"{module}/__init__.py": code or f'__version__ = "{version}"\n',
        f"{module}/core.so": "0123456789",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text.encode())}")
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    with zipfile.ZipFile(folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


class Environment:
    """A virtual environment with fake packages; what comfykit needs beside them is that of the tests."""

    def __init__(self, folder: Path) -> None:
        self.wheels = folder / "wheels"
        self.wheels.mkdir()
        self.home = folder / "home"
        (self.home / "models" / "vae").mkdir(parents=True)
        (self.home / "comfykit.toml").write_text('device = "cpu"\n')
        self.python = folder / "venv" / "bin" / "python"
        self.variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PYTHON"))},
            "UV_OFFLINE": "1",
            "UV_FIND_LINKS": str(self.wheels),
            "UV_CACHE_DIR": str(folder / "cache"),
            "UV_NO_CONFIG": "1",
        }
        self.uv("venv", "--python", sys.executable, str(folder / "venv"))
        (self.packages / "tests.pth").write_text(f"{SOURCE}\n{sysconfig.get_path('purelib')}\n")

    @property
    def packages(self) -> Path:
        return next((self.python.parents[1] / "lib").glob("python3*")) / "site-packages"

    def uv(self, *arguments: str) -> None:
        subprocess.run(
            [str(uv_program()), *arguments], env=self.variables, check=True, capture_output=True, timeout=240
        )

    def install(self, *requirements: str) -> None:
        self.uv("pip", "install", "--python", str(self.python), *requirements)

    def doctor(self, *arguments: str) -> tuple[int, list[Mapping[str, Any]]]:
        ended = subprocess.run(
            [self.python, "-m", "comfykit", "doctor", "--home", self.home, "--deep", "--json", *arguments],
            env=self.variables,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=240,
        )
        assert ended.stdout, ended.stderr
        return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    made = Environment(tmp_path)
    for name, versions in {
        "numpy": ("2.1.0",),
        "pandas": ("2.1.4", "2.2.3"),
        "torchvision": ("0.24.0", "0.27.0"),
        "transformers": ("4.40.0", "5.1.0"),
        "scipy": ("1.14.1",),
        "safetensors": ("0.5.0",),
    }.items():
        for version in versions:
            wheel(made.wheels, name, version)
    wheel(made.wheels, "torch", "2.12.0", TORCH)
    for name in ("opencv-python", "opencv-contrib-python"):
        wheel(made.wheels, name, "4.10.0.84", module="cv2")
    for name in ("onnxruntime", "onnxruntime-gpu"):
        wheel(made.wheels, name, "1.20.1", module="onnxruntime")
    return made


def codes(records: list[Mapping[str, Any]]) -> list[str]:
    return [record["code"] for record in records if record["event"] == "check" and record["code"]]


def test_ten_ways_to_break_it(environment: Environment) -> None:
    environment.install(
        *("numpy", "torch", "safetensors", "scipy"),
        *("pandas==2.1.4", "torchvision==0.24.0", "transformers==4.40.0"),  # 1, 2, 3
        *("opencv-python", "opencv-contrib-python", "onnxruntime", "onnxruntime-gpu"),  # 4, 5
    )
    packages, vae = environment.packages, environment.home / "models" / "vae"
    (packages / "torch" / "core.so").unlink()  # 6
    (packages / "safetensors" / "core.so").write_text("012")  # 7
    (packages / "~umpy").mkdir()  # 8
    (packages / "scipy-1.14.1.dist-info" / "RECORD").unlink()  # 9
    header = b'{"w":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}'
    (vae / "cut.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"123")  # 10
    (vae / "page.safetensors").write_text("<!doctype html>Sign in")  # 11

    code, records = environment.doctor()
    assert code == 1
    expected = "CK205 CK405 CK501 CK502 CK504 CK504 CK505 CK505 CK507 CK701 CK702"
    assert sorted(codes(records)) == expected.split()

    code, records = environment.doctor("--fix", "--yes")
    (fixed,) = [record for record in records if record["event"] == "fixed"]
    assert fixed["failed"] == []
    snapshot = Path(fixed["snapshot"]).read_text()
    assert "pandas==2.1.4" in snapshot
    assert code == 0

    code, records = environment.doctor("--strict")
    assert codes(records) == []
    assert code == 0
