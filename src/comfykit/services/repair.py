"""Run the commands that mend what the doctor found, after writing down what is installed."""

from __future__ import annotations

import shutil
import sysconfig
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from comfykit.doctor.interface import Command, Finding
from comfykit.doctor.sources.process import run
from comfykit.doctor.sources.runtime import uv_program
from comfykit.fetch.state_file import state_path
from comfykit.packs.environment import Environment, freeze
from comfykit.settings import Settings

SECONDS = 3600.0  # a build of torch is 3 GB
_SAID_LINES = 3


@dataclass(frozen=True, slots=True)
class Repaired:
    """What came of a repair: where the list of packages before it lies, and what failed, and why."""

    snapshot: Path
    failed: tuple[tuple[Command, str], ...] = ()


def plan(findings: Sequence[Finding]) -> tuple[Command, ...]:
    """The commands of findings, each once: what is removed goes first, then what is brought."""
    commands = dict.fromkeys(words for finding in findings for words in finding.commands)
    return tuple(sorted(commands, key=_rank))


def repair(
    commands: Sequence[Command],
    settings: Settings,
    on_command: Callable[[Command], object] = lambda words: None,
) -> Repaired:
    """Write down what is installed, then run every command; one that fails does not keep the others.

    Raises `PackError` where it cannot be found out what is installed; then nothing is run.
    """
    snapshot = _snapshot(settings)
    failed = []
    for words in commands:
        on_command(words)
        problem = _remove(words[2:]) if words[0] == "rm" else _run(words)
        if problem is not None:
            failed.append((words, problem))
    return Repaired(snapshot, tuple(failed))


def _rank(words: Command) -> int:
    if words[0] == "rm":
        return 0
    return 1 if "uninstall" in words else 2


def _snapshot(settings: Settings) -> Path:
    """A file that `uv pip install -r` brings back what is installed from."""
    lines = [_line(name, frozen) for name, frozen in freeze(Environment()).items()]
    path = state_path(settings.home, f"packages-{time.strftime('%Y%m%d-%H%M%S')}.txt")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _line(name: str, frozen: str) -> str:
    """A line of a requirements file: a version, an address, or a folder that is edited."""
    if frozen.startswith("-e "):
        return frozen
    return f"{name} @ {frozen}" if "/" in frozen else f"{name}=={frozen}"


def _run(words: Command) -> str | None:
    uv = uv_program() if words[0] == "uv" else None
    ended = run((uv, *words[1:]) if uv else words, SECONDS)
    if ended.problem is None:
        return None
    said = (ended.stderr.strip() or ended.stdout.strip()).splitlines()[-_SAID_LINES:]
    return " ".join(line.strip() for line in said) or ended.problem


def _remove(paths: Sequence[str]) -> str | None:
    """Remove what a finding named: files, and folders of packages alone."""
    packages = Path(sysconfig.get_path("purelib"))
    for path in map(Path, paths):
        try:
            if path.is_dir() and not path.is_symlink():
                if path.parent != packages:
                    return f"{path} is no folder of a package"
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError as error:
            return f"{path}: {error.strerror}"
    return None
