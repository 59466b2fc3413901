"""A pack is imported in a process of its own, which may hang, crash or end without harm."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comfykit.home import Home

SECONDS = 120.0


def probe_pack(
    pack: Path,
    home: Home,
    *,
    python: Path | None = None,
    seconds: float = SECONDS,
    thorough: bool = False,
    scripts: bool = False,
) -> dict[str, Any]:
    """What importing a pack tells, as `comfykit.compat.probe` says it; also where that process failed."""
    command = [str(python or sys.executable), "-m", "comfykit.compat.probe", str(pack.absolute())]
    command += ["--home", str(home.root), *(["--thorough"] if thorough else [])]
    command += ["--run-scripts"] if scripts else []
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **_source_path()},
        )
    except subprocess.TimeoutExpired:
        return failed(pack, f"importing it took longer than {seconds:g} s", "timeout")
    for line in reversed(ended.stdout.splitlines()):
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict) and "classes" in found:
                return found
    said = ended.stderr.strip().splitlines()[-1:] or ["it said nothing"]
    return failed(
        pack, f"the process that imported it ended with code {ended.returncode}: {said[0]}", "crash"
    )


def failed(pack: Path, message: str, kind: str) -> dict[str, Any]:
    """The same form for a pack whose process told nothing."""
    failure: Mapping[str, Any] = {"cause": message, "kind": kind, "subject": "", "hint": None, "place": ""}
    return {"pack": pack.name, "classes": [], "problems": {}, "missing": [], "failure": failure}


def _source_path() -> dict[str, str]:
    """Where this comfykit lies, for an interpreter that has another one or none installed."""
    here = str(Path(__file__).parents[2])
    return {"PYTHONPATH": os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH", "")]))}
