"""A pack is imported in a process of its own, which may hang, crash or end without harm."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comfykit.packs.environment import Environment
from comfykit.packs.strangers import run_stranger

PROBE = "comfykit.compat.probe"
SECONDS = 120.0
LOOKING = "looking which node classes it has"
_MOST_BYTES = 8 * 1024 * 1024

# A pack that calls an installer while it is imported gets nothing from it.
_NO_INSTALLS = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "UV_NO_INDEX": "1", "UV_OFFLINE": "1"}


@dataclass(frozen=True, slots=True)
class Probe:
    """What came of importing a pack.

    `classes` were registered; `problems` has those that cannot be used, with the reason. `cause` is why the
    pack as a whole could not be imported, None where it was. `missing` are parts of ComfyUI's interface that
    it asked for and that are not here, `lacks` those that its source names beyond that, which concern what
    runs later. `blocked` are commands to install packages, which were refused. `hints` help with `problems`,
    `warnings` are what importing it brought to light beyond that, such as a library that is not whole.
    """

    pack: str
    classes: tuple[str, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)
    cause: str | None = None
    hint: str | None = None
    missing: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def is_imported(self) -> bool:
        """Whether it could be imported."""
        return self.cause is None


def probe_pack(
    pack: Path,
    home: Path,
    environment: Environment | None = None,
    *,
    seconds: float | None = None,
    thorough: bool = False,
    run_scripts: bool = False,
) -> Probe:
    """Import a pack as a run in `home` would, within `SECONDS`; never raises for what the pack does.

    `thorough` also looks for every name of ComfyUI's that its source has; with `run_scripts` its
    `prestartup_script.py` runs first. The process sees none of our secrets, can install nothing, and is
    killed with its children.
    """
    seconds = SECONDS if seconds is None else seconds
    python = (environment or Environment()).python
    variables = {
        **_NO_INSTALLS,
        **_source_path(python),
        "COMFYKIT_HOME": str(home.resolve()),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
    }
    options = [*(["--thorough"] if thorough else []), *(["--run-scripts"] if run_scripts else [])]
    command: list[str | Path] = [python, "-P", "-m", PROBE, pack.absolute(), *options]
    folder = home if home.is_dir() else pack.parent  # a pack may lie elsewhere, and its home nowhere yet
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        try:
            code = run_stranger(command, folder, variables, seconds, said=said, complained=complained)
        except OSError as error:
            return Probe(pack.name, cause=f"{python} could not be started ({error.strerror})")
        if code is None:
            cause = f"importing it took more than {seconds:g} s"
            return Probe(pack.name, cause=cause, hint="does it wait for a network?")
        said.seek(0)
        return _told(pack.name, said.read(_MOST_BYTES)) or _ended(pack.name, code, _last_line(complained))


def _told(pack: str, said: bytes) -> Probe | None:
    """What `comfykit.compat.probe` said in its last line; None where it did not come so far."""
    for line in reversed(said.splitlines()):
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict) and "pack" in found and "classes" in found:
                return _parsed(pack, found)
    return None


def _parsed(pack: str, found: Mapping[str, Any]) -> Probe:
    failure = found.get("failure") or {}
    texts = {
        key: tuple(str(one) for one in found.get(key, ()))
        for key in ("classes", "missing", "lacks", "blocked", "hints", "warnings")
    }
    return Probe(
        pack,
        problems={str(name): str(why) for name, why in dict(found.get("problems", {})).items()},
        cause=failure.get("cause"),
        hint=failure.get("hint"),
        seconds=float(found.get("seconds", 0.0)),
        **texts,
    )


def _ended(pack: str, code: int, last: str | None) -> Probe:
    """The answer for a process that ended without one."""
    if code < 0:
        name = {one.value: one.name for one in signal.Signals}.get(-code, f"signal {-code}")
        return Probe(pack, cause=f"Python crashed while importing it ({name})", hint=last)
    return Probe(pack, cause=f"importing it ended Python (exit code {code})", hint=last)


def _last_line(complained: Any) -> str | None:
    complained.seek(max(0, complained.seek(0, os.SEEK_END) - _MOST_BYTES))
    lines = complained.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() or None if lines else None


def _source_path(python: Path) -> dict[str, str]:
    """Where this comfykit lies, for another interpreter, which may have another one or none installed.

    Paths are made absolute, as the process is started in another folder.
    """
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [str(Path(path).absolute()) for path in given if path]
    if python != Path(sys.executable):
        paths = [str(Path(__file__).parents[2]), *paths]
    return {"PYTHONPATH": os.pathsep.join(paths)} if paths else {}
