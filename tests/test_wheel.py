"""What is built from the repository holds what the program needs, and runs from where it is unpacked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "src" / "comfykit" / "assets"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel and a source distribution."""
    folder = tmp_path_factory.mktemp("built")
    code = "import sys, hatchling.build as b; b.build_wheel(sys.argv[1]); b.build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, folder], cwd=ROOT, capture_output=True, check=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


def test_every_asset_is_in_the_wheel_and_in_the_sources(built: Path, wheel: Path) -> None:
    assets = {path.relative_to(ASSETS).as_posix() for path in ASSETS.rglob("*") if path.is_file()}
    assert "models/checkpoints/demo.safetensors" in assets
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    assert assets - {name.removeprefix("comfykit/assets/") for name in packed} == set()
    assert {"comfykit/assets/manifests/sd15.txt", "comfykit/assets/manifests/download.txt"} <= packed
    (sources,) = built.glob("*.tar.gz")
    with tarfile.open(sources) as archive:
        below = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"src/comfykit/assets/{name}" for name in assets} - below == set()
    assert {"tests/random_weights.json", "tools/demo_model/scenes.py", "LICENSE"} <= below


def test_the_demo_runs_from_the_wheel_without_home_and_network(wheel: Path, tmp_path: Path) -> None:
    site, here = tmp_path / "site", tmp_path / "here"
    here.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # -P: modules come from the wheel, not from the current folder. Nothing else is set, HOME neither.
    command = [sys.executable, "-P", "-m", "comfykit", "demo", "--steps", "2", "--json"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [*_without_network(), *command],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["path"] == "comfykit-demo.png"
    assert [path.name for path in here.iterdir()] == ["comfykit-demo.png"]


def _without_network() -> list[str]:
    """What runs a command where no network is; nothing on systems that do not let us."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return []
    prefix = [unshare, "--user", "--map-root-user", "--net"]
    allowed = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    return prefix if allowed else []
