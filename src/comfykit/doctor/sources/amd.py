"""AMD's GPUs, as ROCm's `rocminfo` tells them."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from comfykit.doctor.sources.process import run

SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Amd:
    """The GPUs by their instruction set ("gfx1030") and the version of ROCm; `error` why nothing was said."""

    gpus: tuple[str, ...] = ()
    rocm: str | None = None
    error: str | None = None


def look(seconds: float = SECONDS, release: Path = Path("/opt/rocm/.info/version")) -> Amd | None:
    """Ask ROCm; None where there is no `rocminfo`."""
    program = shutil.which("rocminfo")
    if program is None:
        return None
    ended = run([program], seconds)
    try:
        version = release.read_text(encoding="utf-8").strip().partition("-")[0] or None
    except OSError:
        version = None
    if ended.problem is not None:
        said = (ended.stderr.strip() or ended.stdout.strip()).splitlines()
        return Amd(rocm=version, error=said[0] if said else f"rocminfo {ended.problem}")
    gpus = re.findall(r"^\s*Name:\s+(gfx[0-9a-f]+)\s*$", ended.stdout, re.MULTILINE)
    return Amd(tuple(gpu for gpu in gpus if gpu != "gfx000"), version)
