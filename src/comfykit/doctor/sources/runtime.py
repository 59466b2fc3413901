"""The interpreter, and the versions and builds of installed distributions as their metadata gives them."""

from __future__ import annotations

import platform
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from comfykit.doctor.compat import tables
from comfykit.doctor.requirements import LIBRARIES
from comfykit.doctor.versions import build_tag

# Other packages that rules are about, besides those of the tables.
OTHERS = (
    "torch",
    "torchvision",
    "torchaudio",
    "triton",
    "triton-windows",
    "pytorch-triton",
    "pytorch-triton-rocm",
    "xformers",
    "flash-attn",
    "sageattention",
    "bitsandbytes",
    "numpy",
    "diffusers",
    "accelerate",
    "huggingface-hub",
    "mediapipe",
    "insightface",
    "kornia",
    "timm",
    "setuptools",
    "socksio",
    "pip",
    "uv",
)


@dataclass(frozen=True, slots=True)
class Python:
    """The interpreter that runs comfykit.

    `origin` is how it was installed ("uv", "conda", "system", "store", "embedded", "other"), `virtual`
    whether it is that of a virtual environment, `managed` whether the system forbids installing (PEP 668).
    `installer` is what commands are written for: "uv" or "pip".
    """

    version: str
    executable: str | None = None
    implementation: str = "cpython"
    origin: str = "other"
    virtual: bool = True
    managed: bool = False
    installer: str = "uv"


def look_at_python() -> Python:
    """The interpreter at work."""
    return Python(
        ".".join(map(str, sys.version_info[:3])),
        sys.executable,
        implementation=sys.implementation.name,
        origin=_origin(),
        virtual=sys.prefix != sys.base_prefix,
        managed=(Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED").is_file(),
        installer="uv" if uv_program() is not None else "pip",
    )


def uv_program() -> str | None:
    """The uv that commands run with: the package's, or the one on the path."""
    if util.find_spec("uv") is not None:
        from uv import find_uv_bin

        try:
            return str(find_uv_bin())
        except FileNotFoundError:
            return shutil.which("uv")
    return shutil.which("uv")


def names_that_matter() -> tuple[str, ...]:
    """Every package that a rule is about."""
    doubles = [name for double in tables().double for name in double.packages]
    return tuple(dict.fromkeys((*LIBRARIES, *OTHERS, *tables().numpy2, *doubles)))


def look_at_packages(names: Iterable[str] | None = None) -> Mapping[str, str | None]:
    """Version of each distribution, None where it is not installed."""
    return {name: installed(name) for name in names or names_that_matter()}


def installed(name: str) -> str | None:
    """Version of a distribution; None where it is not installed, or so damaged that it has no version."""
    try:
        return metadata.version(name) or None
    except (metadata.PackageNotFoundError, KeyError, OSError):
        return None


def look_at_builds(packages: Mapping[str, str | None]) -> Mapping[str, str]:
    """What torch and its partners were built for ("cu126", "cpu", "rocm6.4"), where the disk says it."""
    builds = {}
    for name in ("torch", "torchvision", "torchaudio"):
        version = packages.get(name)
        if version and (build := build_tag(version) or _written_build(name)):
            builds[name] = build
    return builds


def _written_build(name: str) -> str | None:
    """The build from a package's version.py, which is read, never run."""
    try:
        place = Path(str(metadata.distribution(name).locate_file(f"{name}/version.py")))
        text = place.read_text(encoding="utf-8")
    except (metadata.PackageNotFoundError, OSError, UnicodeDecodeError):
        return None
    line = r"^(cuda|hip|xpu)\b[^=\n]*= *'?\"?([0-9.]+|None)"
    said: dict[str, str] = dict(re.findall(line, text, re.MULTILINE))
    if said.get("hip", "None") != "None":
        return f"rocm{said['hip']}"
    if said.get("cuda", "None") != "None":
        return "cu" + said["cuda"].replace(".", "")
    return "cpu" if "cuda" in said else None


def _origin() -> str:
    base = Path(sys.base_prefix)
    if (base / "conda-meta").is_dir():
        return "conda"
    if "uv" in base.parts and "python" in base.parts:
        return "uv"
    if any(base.glob("python*._pth")):
        return "embedded"
    if "WindowsApps" in base.parts:
        return "store"
    return (
        "system" if base in (Path("/usr"), Path("/usr/local")) and platform.system() == "Linux" else "other"
    )
