"""Imports a pack in a process of its own, and says what came of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comfykit.packs.environment import Environment
from comfykit.packs.uv_tool import without_secrets

PROBE = "comfykit.compat.probe"
SECONDS = 120.0
_MOST_BYTES = 8 * 1024 * 1024

# A pack that calls an installer while it is imported gets nothing from it.
_NO_INSTALLS = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "UV_NO_INDEX": "1", "UV_OFFLINE": "1"}


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The classes that a pack registered, or why it could not be imported and what to do.

    `told` is all that the probe said, None where it said nothing.
    """

    pack: str
    classes: tuple[str, ...] = ()
    cause: str | None = None
    hint: str | None = None
    told: Mapping[str, Any] | None = None

    @property
    def is_imported(self) -> bool:
        """Whether it could be imported."""
        return self.cause is None


def try_import(
    pack: Path,
    home: Path,
    environment: Environment | None = None,
    seconds: float = SECONDS,
    *,
    options: Sequence[str] = (),
) -> ImportResult:
    """Import a pack as a run would, with a time limit; never raises for what the pack does.

    `options` are those of the probe, such as `--thorough`.
    The process sees none of our secrets, can install nothing, and is killed with its children.
    """
    python = (environment or Environment()).python
    variables = without_secrets() | _NO_INSTALLS
    variables |= {"COMFYKIT_HOME": str(home.resolve()), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        try:
            process = subprocess.Popen(
                [python, "-P", "-m", PROBE, str(pack.resolve()), *options],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=complained,
                cwd=home,
                env=variables,
                start_new_session=True,
            )
        except OSError as error:
            return ImportResult(pack.name, cause=f"{python} could not be started ({error.strerror})")
        try:
            code: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(0)
        complained.seek(max(0, complained.seek(0, os.SEEK_END) - _MOST_BYTES))
        return _result(pack.name, code, seconds, said.read(_MOST_BYTES), complained.read())


def _result(pack: str, code: int | None, seconds: float, said: bytes, complained: bytes) -> ImportResult:
    if code is None:
        return ImportResult(
            pack, cause=f"importing it took more than {seconds:g} s", hint="does it wait for a network?"
        )
    for line in reversed(said.splitlines()):
        with suppress(ValueError):
            document = json.loads(line)
            if isinstance(document, dict) and "pack" in document and "classes" in document:
                failure = document.get("failure") or {}
                return ImportResult(
                    pack,
                    tuple(str(name) for name in document["classes"]),
                    failure.get("cause"),
                    failure.get("hint"),
                    document,
                )
    last = complained.decode("utf-8", "replace").strip().rpartition("\n")[2].strip()
    if code < 0:
        name = {one.value: one.name for one in signal.Signals}.get(-code, f"signal {-code}")
        return ImportResult(pack, cause=f"Python crashed while importing it ({name})", hint=last or None)
    return ImportResult(pack, cause=f"importing it ended Python (exit code {code})", hint=last or None)
