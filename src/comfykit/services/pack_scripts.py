"""Scripts that packs bring: shown to a person, and run only when one says so."""

from __future__ import annotations

import ast
import re
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from comfykit.errors import PackError
from comfykit.packs.environment import Environment
from comfykit.packs.strangers import run_stranger

INSTALL = "install.py"
PRESTART = "prestartup_script.py"
SECONDS = 900.0
_SHOWN_BYTES = 8 * 1024 * 1024
_TELLING = {
    "subprocess": "starts programs",
    "os.system": "starts programs",
    "pip": "installs packages",
    "git": "fetches repositories",
    "urllib": "fetches from the network",
    "requests": "fetches from the network",
    "httpx": "fetches from the network",
    "huggingface_hub": "fetches models",
    "shutil": "copies or deletes files",
    "ctypes": "calls native code",
}
_PIP = re.compile(r"\bpip\d*\b")  # and not "mediapipe"


@dataclass(frozen=True, slots=True)
class Script:
    """A script of a pack: how long it is, and what its imports and calls say that it does."""

    pack: str
    name: str
    lines: int
    does: tuple[str, ...]

    @property
    def runs_now(self) -> bool:
        """Whether it is for the installation; the other kind runs before ComfyUI starts."""
        return self.name == INSTALL


def scripts_of(pack: str, folder: Path) -> list[Script]:
    """The scripts of a pack in a folder."""
    paths = (folder / name for name in (INSTALL, PRESTART)) if folder.is_dir() else ()
    return [_look(pack, path) for path in paths if path.is_file()]


def run_script(
    folder: Path,
    script: Script,
    environment: Environment,
    constraints: Mapping[str, str],
    *,
    home: Path,
    seconds: float | None = None,
) -> None:
    """Run a script in its pack's folder, without our secrets and with the core's versions as constraints.

    It is ended with everything it started when its time is over. Raises `PackError` where it fails.
    """
    seconds = SECONDS if seconds is None else seconds
    with tempfile.TemporaryDirectory(prefix="comfykit-script-") as scratch:
        pinned = Path(scratch) / "constraints.txt"
        pinned.write_text("".join(f"{name}=={constraints[name]}\n" for name in sorted(constraints)))
        variables = {
            "PIP_CONSTRAINT": str(pinned),
            "UV_CONSTRAINT": str(pinned),
            "PIP_NO_INPUT": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "COMFYKIT_HOME": str(home),
            "COMFYUI_PATH": str(home),
        }
        log = Path(scratch) / "log"
        with log.open("wb") as said:
            try:
                code = run_stranger([environment.python, script.name], folder, variables, seconds, said=said)
            except OSError as error:
                raise PackError(f"{script.pack}/{script.name} could not be started ({error})") from error
        if code != 0:
            why = f"took more than {seconds:g} s" if code is None else f"failed (exit code {code})"
            raise PackError(f"{script.pack}/{script.name} {why}", hint=_last_line(log))


def what_they_do(scripts: Iterable[Script]) -> list[str]:
    """A line for each script, for a person to decide by."""
    found = []
    for script in scripts:
        does = f": {', '.join(script.does)}" if script.does else ""
        when = "" if script.runs_now else " (runs at every start)"
        found.append(f"{script.pack}/{script.name}, {script.lines} lines{when}{does}")
    return found


def _look(pack: str, path: Path) -> Script:
    with path.open("rb") as file:
        data = file.read(_SHOWN_BYTES)
    names: set[str] = set()
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = set(_names(ast.parse(data)))
    text = data.decode("utf-8", "replace")
    does = [what for name, what in _TELLING.items() if name in names or (name == "pip" and _PIP.search(text))]
    return Script(pack, path.name, text.count("\n") + 1, tuple(dict.fromkeys(does)))


def _names(tree: ast.AST) -> Iterable[str]:
    """First parts of what is imported, and calls of `os`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


def _last_line(log: Path) -> str | None:
    with suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1].strip()[:500] if lines else None
    return None
