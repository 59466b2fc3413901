"""An environment made by uv with a core of tiny wheels, once for all tests; each test gets a copy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from comfykit.packs.environment import Environment
from comfykit.packs.uv_tool import Sources, run_uv
from package_support import Place, source, wheel

CORE = ("torch==2.13.0+cpu", "numpy==2.4.6", "transformers==5.23.0", "tqdm==4.70.1")


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that there is to install."""
    folder = tmp_path_factory.mktemp("wheels")
    for version in ("2.13.0+cpu", "2.1.0"):
        wheel(folder, "torch", version)
    for version in ("2.4.6", "1.26.4"):
        wheel(folder, "numpy", version)
    wheel(
        folder, "transformers", "5.23.0", ["numpy>=1.17", "tqdm", "sentencepiece; extra == 'sentencepiece'"]
    )
    wheel(folder, "sentencepiece", "0.2")
    for version in ("4.70.1", "4.60.0"):
        wheel(folder, "tqdm", version)
    for version in ("0.28.0", "0.28.0+cpu", "0.16.0", "0.16.0+cpu"):
        wheel(folder, "torchvision", version, ["torch==2.13.0" if "28" in version else "torch==2.1.0"])
    wheel(folder, "torchaudio", "2.11.0")
    wheel(folder, "vision-user", "1.0", ["torchvision>=0.15", "torchaudio"])
    for version in ("1.0", "1.5", "2.0"):
        wheel(folder, "alpha", version)
        wheel(folder, "beta", version, [f"alpha=={version}"])
    wheel(folder, "alpha", "3.0rc1")
    wheel(folder, "oldmath", "1.0", ["numpy<2"])
    for name in ("opencv-python", "opencv-python-headless", "opencv-contrib-python"):
        for version in ("4.7.0.72", "4.11.0", "4.12.0"):
            wheel(folder, name, version, ["numpy>=2"], {"cv2/__init__.py": f"who = '{name} {version}'\n"})
    wheel(folder, "wants-headless", "1.0", ["opencv-python-headless>=4.1"])
    wheel(folder, "wants-window", "1.0", ["opencv-python"])
    for name in ("onnxruntime", "onnxruntime-gpu"):
        wheel(folder, name, "1.23.0", files={"onnxruntime/__init__.py": f"who = '{name}'\n"})
    wheel(folder, "thief", "1.0", files={"numpy/__init__.py": "version = 'stolen'\n"})
    wheel(folder, "starter", "1.0", files={"starter.pth": "import sys\n"})
    scratch = tmp_path_factory.mktemp("sources")
    source(folder, scratch, "unbuildable", "1.0", fails=True)
    source(folder, scratch, "built", "1.0")
    return folder


@pytest.fixture(scope="session")
def core_place(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The environment that the others are copied from; to be looked at only."""
    folder = tmp_path_factory.mktemp("core")
    subprocess.run(
        [find_uv_bin(), "venv", "-q", "--no-project", f"--python={sys.executable}", folder / "env"],
        check=True,
        timeout=60,
    )
    environment = Environment(folder / "env" / "bin" / "python")
    sources = Sources(find_links=(str(wheels),), no_index=True, cache=tmp_path_factory.mktemp("cache"))
    ended = run_uv(("install",), environment, sources, CORE)
    assert ended.code == 0, ended.stderr
    return Place(environment, wheels, folder / "custom_nodes", sources)


@pytest.fixture
def place(core_place: Place, tmp_path: Path) -> Place:
    """An environment of the test's own, and packs."""
    return core_place.another(tmp_path)
