"""The command as a process of its own, with small pieces and short waits, to be killed and starved."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from fault_limits import defaults
from fault_stage import Done, Stage, done

# Before anything else of comfykit is loaded, other defaults for the numbers that steer transfers.
_DRIVER = """
import json, resource, sys
from comfykit.fetch.limits import Limits
Limits.__init__.__defaults__ = tuple(json.loads(sys.argv.pop(1)))
largest = int(sys.argv.pop(1))
if largest:
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
from comfykit.cli.app import main
main()
"""


def start(
    stage: Stage,
    manifest: Path,
    *arguments: str,
    largest_file: int = 0,
    **limits: float,
) -> subprocess.Popen[str]:
    """`comfykit install-models MANIFEST --home ... --json`; files may have so many bytes."""
    words = ["install-models", str(manifest), "--home", str(stage.home), "--json", *arguments]
    return subprocess.Popen(
        [sys.executable, "-c", _DRIVER, json.dumps(defaults(**limits)), str(largest_file), *words],
        cwd=stage.root,
        env=stage.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], seconds: float = 120) -> Done:
    """Wait for the end of a process."""
    out, err = process.communicate(timeout=seconds)
    return done(process.returncode, out, err)
