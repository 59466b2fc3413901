"""A stranger's code in a process of its own, without our secrets, ended in time with all that it started."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY|CREDENTIAL", re.IGNORECASE)


def without_secrets() -> dict[str, str]:
    """Our environment variables less those that look like a secret."""
    return {name: value for name, value in os.environ.items() if not _SECRET.search(name)}


def run_stranger(
    command: Sequence[str | Path],
    folder: Path,
    variables: Mapping[str, str],
    seconds: float,
    *,
    said: IO[bytes],
    complained: IO[bytes] | None = None,
) -> int | None:
    """Run a command in a folder; its exit code, None where it had to be ended after that many seconds.

    `variables` come to those of ours that are no secrets. What it writes goes to the files `said` and
    `complained`, both to `said` without the second. Raises `OSError` where it cannot be started.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=said if complained is None else complained,
        cwd=folder,
        env={**without_secrets(), **variables},
        start_new_session=True,
    )
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
