"""Runs another program whose crash or silence is a fact, not an error."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

# A program that hangs in the kernel, as one that asks a stuck driver does, cannot be killed but left.
FAREWELL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: what it wrote and, unless it ended well, a few words on what went wrong."""

    stdout: str
    stderr: str
    problem: str | None = None
    late: bool = False


def run(command: Sequence[str], seconds: float) -> Ended:
    """Run a program to its end, or kill it after `seconds`; never raises for what the program does.

    It writes to files, since whoever it started may hold a pipe open after its death.
    """
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=complained, start_new_session=True
            )
        except OSError as error:
            return Ended("", "", f"could not be started ({error.strerror})")
        try:
            returncode = process.wait(seconds)
        except subprocess.TimeoutExpired:
            _kill(process)
            return Ended("", "", f"gave no answer in {seconds:g} s", late=True)
        streams = []
        for stream in (said, complained):
            stream.seek(0)
            streams.append(stream.read().decode("utf-8", "replace"))
        return Ended(streams[0], streams[1], _problem(returncode))


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(FAREWELL_SECONDS)


def _problem(returncode: int) -> str | None:
    if returncode == 0:
        return None
    if returncode > 0:
        return f"ended with exit code {returncode}"
    try:
        return f"crashed ({signal.Signals(-returncode).name})"
    except ValueError:
        return f"crashed (signal {-returncode})"
