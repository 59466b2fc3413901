"""What tests of packages share: wheels and sources made on the spot, environments, packs."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from comfykit.packs.environment import Environment, freeze
from comfykit.packs.requirements import Wanted, wanted_by
from comfykit.packs.resolution import Resolution
from comfykit.packs.resolve import resolve
from comfykit.packs.uv_tool import Sources

# A build backend of a few lines, since the usual ones would have to be fetched.
SOURCE = Path(__file__).parents[1] / "src"

BACKEND = """
import os, sys
sys.path.insert(0, os.path.dirname(__file__))
import making

def build_wheel(folder, settings=None, metadata=None):
    return making.wheel(folder, NAME, VERSION, REQUIRES).rpartition("/")[2]
"""
FAILING = 'raise RuntimeError("no compiler")\n'


def wheel(
    folder: Path | str,
    name: str,
    version: str,
    requires: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
) -> str:
    """Write a wheel of pure Python whose module says its version; its path."""
    module = name.replace("-", "_")
    about = f"{module}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {text}\n" for text in requires)
    content = {
        f"{module}/__init__.py": f"version = {version!r}\n",
        **(files or {}),
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text.encode())}\n"
    content[f"{about}/RECORD"] = f"{record}{about}/RECORD,,\n"
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103  (the build backend above runs this too)
    target = f"{folder}/{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for path, text in content.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), text)
    return target


def project(
    folder: Path, name: str, version: str, requires: Sequence[str] = (), *, fails: bool = False
) -> Path:
    """Write a source tree that builds without a network, or fails to."""
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n', encoding="utf-8"
    )
    facts = f"NAME, VERSION, REQUIRES = {name!r}, {version!r}, {list(requires)!r}\n"
    (folder / "backend.py").write_text(FAILING if fails else facts + BACKEND, encoding="utf-8")
    making = Path(__file__).read_text(encoding="utf-8")
    start, end = making.index("def wheel("), making.index("def project(")
    head = "from __future__ import annotations\nimport base64, hashlib, os, zipfile\n"
    (folder / "making.py").write_text(head + making[start:end], encoding="utf-8")
    return folder


def source(wheels: Path, scratch: Path, name: str, version: str, *, fails: bool = False) -> Path:
    """A source distribution among wheels."""
    tree = project(scratch / f"{name}-{version}", name, version, fails=fails)
    packed = wheels / f"{name}-{version}.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        info = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
        entry = tarfile.TarInfo(f"{name}-{version}/PKG-INFO")
        entry.size = len(info)
        archive.addfile(entry, io.BytesIO(info))
        archive.add(tree, f"{name}-{version}")
    return packed


def repository(folder: Path, name: str, version: str, requires: Sequence[str] = ()) -> str:
    """A git repository with a project; its commit."""
    project(folder, name, version, requires)
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "one"]):
        subprocess.run(["git", *who, *command], cwd=folder, check=True, timeout=30)
    shown = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        cwd=folder,
        check=True,
        capture_output=True,
        encoding="ascii",
        timeout=30,
    )
    return shown.stdout.strip()


@dataclass(frozen=True)
class Place:
    """An environment with a small core, wheels to install from, and a folder of packs."""

    environment: Environment
    wheels: Path
    packs: Path
    sources: Sources

    @property
    def site(self) -> Path:
        return next(self.environment.python.parent.parent.glob("lib/python*/site-packages"))

    def pack(self, name: str, text: str | bytes = "", **files: str) -> Wanted:
        """A pack with a requirements.txt, and with files whose names have `__` for a dot."""
        folder = self.packs / name
        folder.mkdir(parents=True, exist_ok=True)
        if text:
            data = text if isinstance(text, bytes) else text.encode()
            (folder / "requirements.txt").write_bytes(data)
        for key, value in files.items():
            (folder / key.replace("__", ".")).write_text(value, encoding="utf-8")
        return wanted_by(folder)

    def resolve(self, *wanted: Wanted, refused: Sequence[str] = ()) -> Resolution:
        return resolve(wanted, self.environment, sources=self.sources, refused=refused)

    def freeze(self) -> dict[str, str]:
        return freeze(self.environment)

    def files(self) -> dict[str, bytes]:
        """Every file below the packages' folder but bytecode and our own."""
        return {
            path.relative_to(self.site).as_posix(): path.read_bytes()
            for path in self.site.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    def another(self, folder: Path) -> Place:
        """A copy of the environment, to be changed."""
        shutil.copytree(self.environment.python.parent.parent, folder / "env", symlinks=True)
        packs = folder / "custom_nodes"
        return Place(Environment(folder / "env" / "bin" / "python"), self.wheels, packs, self.sources)
