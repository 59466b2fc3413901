"""torch and numpy, imported by another process so that a broken one cannot break this one."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comfykit.doctor.sources.process import Ended, run
from comfykit.doctor.sources.runtime import installed

# Importing torch takes 1 to 3 s, and over 20 s the first time on a network disk.
SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Numpy:
    """numpy as it imports; `version` None where it is missing, `error` why it does not import.

    `late` where the import took longer than anybody waited.
    """

    version: str | None
    error: str | None = None
    late: bool = False


@dataclass(frozen=True, slots=True)
class Torch:
    """torch as it imports; `version` None where it is missing, `error` why it does not import.

    `cuda` and `hip` are the toolkits it was built with, `devices` counts the GPUs it can use, None where it
    was not imported; `architectures` are the GPU kinds that it has code for ("sm_86", "compute_90"),
    known only where `devices` is above 0. `complaint` is what it said while it looked for GPUs, `arrays`
    why its tensors do not become numpy arrays. `xpu` counts Intel's GPUs, `mps` is whether it can use a
    Mac's.
    """

    version: str | None
    error: str | None = None
    cuda: str | None = None
    hip: str | None = None
    devices: int | None = None
    architectures: tuple[str, ...] = ()
    complaint: str | None = None
    arrays: str | None = None
    late: bool = False
    xpu: int | None = None
    mps: bool | None = None


def look_at_numpy(seconds: float = SECONDS) -> Numpy:
    """Import numpy elsewhere."""
    said, error, late = _probe("numpy", seconds)
    return Numpy(said.get("version"), error, late)


def look_at_torch(seconds: float = SECONDS) -> Torch:
    """Import torch elsewhere."""
    said, error, late = _probe("torch", seconds)
    return Torch(
        version=said.get("version"),
        error=error,
        cuda=said.get("cuda"),
        hip=said.get("hip"),
        devices=said.get("devices"),
        architectures=tuple(said.get("architectures", ())),
        complaint=said.get("complaint"),
        arrays=said.get("arrays"),
        late=late,
        xpu=said.get("xpu"),
        mps=said.get("mps"),
    )


def _probe(name: str, seconds: float) -> tuple[Mapping[str, Any], str | None, bool]:
    """What a library said of itself, or its version and why it could not say more; whether time ran out."""
    # -P: a folder called torch where the user stands is not torch.
    ended = run([sys.executable, "-P", str(Path(__file__).with_name("probe.py")), name], seconds)
    if ended.problem is None:
        return json.loads(ended.stdout.splitlines()[-1]), None, False
    return {"version": installed(name) or "of unknown version"}, _reason(ended), ended.late


def _reason(ended: Ended) -> str:
    """The last line of the traceback, which names the exception; without one, how the process ended."""
    lines = ended.stderr.strip().splitlines()
    raised = any(line.startswith("Traceback") for line in lines)
    return lines[-1].strip() if raised else f"the interpreter that imported it {ended.problem}"
