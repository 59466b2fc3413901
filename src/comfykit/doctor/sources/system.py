"""The operating system, what a container leaves of it, and the settings of the environment that matter."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Environment variables that change what torch sees or how it behaves, and nothing that may hold a secret.
VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "HSA_OVERRIDE_GFX_VERSION",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "NVIDIA_VISIBLE_DEVICES",
    "PYTHONPATH",
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_ENABLE_MPS_FALLBACK",
)
_PATHS = ("LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH")


@dataclass(frozen=True, slots=True)
class System:
    """The operating system: `os` is "linux", "windows" or "macos"; `libc` is "glibc" or "musl"."""

    os: str = "linux"
    release: str | None = None
    machine: str = "x86_64"
    libc: str = "glibc"
    glibc: str | None = None
    wsl: bool = False


@dataclass(frozen=True, slots=True)
class Container:
    """The container around this process; `gpu` is whether device files of a GPU reach it."""

    kind: str
    gpu: bool = False
    shm: int | None = None


def look_at_system() -> System:
    """This operating system."""
    name = {"win32": "windows", "darwin": "macos"}.get(sys.platform, "linux")
    library, version = platform.libc_ver() if name == "linux" else ("", "")
    return System(
        os=name,
        release=platform.release(),
        machine={"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine()),
        libc="glibc" if library == "glibc" or name != "linux" else "musl",
        glibc=version or None,
        wsl="microsoft" in platform.release().casefold(),
    )


def look_at_container(root: Path = Path("/")) -> Container | None:
    """The container that this process runs in; None where there is none."""
    kind = _kind(root)
    if kind is None:
        return None
    gpu = any((root / device).exists() for device in ("dev/nvidiactl", "dev/dxg", "dev/kfd"))
    return Container(kind, gpu, _shm(root / "dev/shm"))


def look_at_variables() -> Mapping[str, str]:
    """The variables that matter and are set; of paths only that they are."""
    return {
        name: "set" if name in _PATHS and os.environ[name] else os.environ[name]
        for name in VARIABLES
        if name in os.environ
    }


def _kind(root: Path) -> str | None:
    if "KUBERNETES_SERVICE_HOST" in os.environ and root == Path("/"):
        return "kubernetes"
    for kind, mark in (("docker", ".dockerenv"), ("podman", "run/.containerenv")):
        if (root / mark).exists():
            return kind
    with suppress(OSError):
        found = re.search(r"docker|containerd|lxc|libpod", (root / "proc/1/cgroup").read_text("utf-8"))
        return found[0] if found else None
    return None


def _shm(folder: Path) -> int | None:
    try:
        found = os.statvfs(folder)
    except (OSError, AttributeError):
        return None
    return found.f_blocks * found.f_frsize
