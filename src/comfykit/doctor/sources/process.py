"""Runs another program whose crash or silence is a fact, not an error."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: what it wrote and, unless it ended well, a few words on what went wrong."""

    stdout: str
    stderr: str
    problem: str | None = None


def run(command: Sequence[str], seconds: float) -> Ended:
    """Run a program to its end, or kill it after `seconds`; never raises for what the program does."""
    try:
        ended = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return Ended("", "", f"gave no answer in {seconds:g} s")
    except OSError as error:
        return Ended("", "", f"could not be started ({error.strerror})")
    return Ended(ended.stdout, ended.stderr, _problem(ended.returncode))


def _problem(returncode: int) -> str | None:
    if returncode == 0:
        return None
    if returncode > 0:
        return f"ended with exit code {returncode}"
    try:
        return f"crashed ({signal.Signals(-returncode).name})"
    except ValueError:
        return f"crashed (signal {-returncode})"
