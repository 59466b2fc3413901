"""Bringing a container up: checks, models and nodes, then the command, with the lists watched beside it.

Every step is a comfykit command in a process of its own, so that whatever becomes of one the next begins.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from comfykit.events import Reporter, StepEnded, StepStarted, Warned, silent
from comfykit.services.home_lock import HomeLock
from comfykit.services.start_status import UP, Status
from comfykit.services.supervisor import ENDING, Child, Supervisor, code_of, require_signals

# Where lists lie in a home, and where ComfyUI's containers have them.
MODEL_LIST, NODE_LIST = "download.txt", "nodes.txt"
MOUNTED = Path("/home/scripts")

INTERRUPTED = 130
_LOCK_SECONDS = 0.5
_END_SECONDS = 5.0
_STANDARD_ERROR = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """What a container does.

    `comfykit` is how steps call comfykit. `models` and `nodes` are places where lists may lie. `command`
    is what runs at last; without one the container stays up. A command of comfykit (`is_own`) stops as
    Ctrl-C stops it when it is told to end. Lists of models are looked at every `watch_seconds` while it
    runs, never with 0. Steps write to standard error, and with `as_json` JSON to standard output.
    """

    home: Path
    comfykit: Sequence[str]
    models: Sequence[Path]
    nodes: Sequence[Path]
    command: Sequence[str] = ()
    is_own: bool = False
    checks: bool = True
    installs_nodes: bool = True
    watch_seconds: float = 5.0
    as_json: bool = False


def lists_of(home: Path, name: str) -> list[Path]:
    """The places where a list of this name may lie."""
    return [home / name, MOUNTED / name]


def start(plan: Plan, reporter: Reporter = silent) -> int:
    """Do what a plan says; the exit code is that of the command, or of the signal that came before it."""
    require_signals()
    with Supervisor() as supervisor, Status() as status:
        steps = _Steps(plan, supervisor, reporter)
        stopped = steps.bring_up()
        if stopped is not None:
            return code_of(stopped)
        status.write(UP)
        return _run(plan, supervisor, steps, reporter)


def _run(plan: Plan, supervisor: Supervisor, steps: _Steps, reporter: Reporter) -> int:
    """The command, with signals passed on and lists watched; without one, until a signal says to end."""
    seconds = plan.watch_seconds or None
    child = supervisor.spawn(plan.command, environment=steps.environment) if plan.command else None
    if child is not None and not child.was_started:
        hint = "it is neither a command of comfykit nor one of this system"
        reporter(Warned(f"{plan.command[0]} could not be started", hint))
    while child is None or child.code is None:
        number = supervisor.next_signal(seconds)
        if number in ENDING and child is None:
            break
        if number is not None and child is not None:
            own = plan.is_own and number == signal.SIGTERM
            supervisor.pass_on(child, signal.SIGINT if own else number)
        if seconds is not None:
            steps.watch()
    steps.end()
    return 0 if child is None or child.code is None else child.code


class _Steps:
    """The steps of a start, and the lists that are read again."""

    def __init__(self, plan: Plan, supervisor: Supervisor, reporter: Reporter) -> None:
        self._plan, self._supervisor, self._reporter = plan, supervisor, reporter
        self._lock = HomeLock(plan.home, reporter)
        self._seen: dict[Path, object] = {}
        self._update: tuple[Path, Child] | None = None
        self._code = 0  # of the last step
        self.environment = {**os.environ, "COMFYKIT_HOME": str(plan.home)}

    def bring_up(self) -> signal.Signals | None:
        """Every step, one after the other; the signal that ended them, if one did."""
        if self._plan.checks:
            stopped = self._step("doctor", "", ["doctor"])
            if stopped is not None:
                return stopped
        self._seen = {path: _look_of(path) for path in self._plan.models}
        models = [path for path in self._plan.models if path.is_file()]
        nodes = [path for path in self._plan.nodes if path.is_file()]
        if not (models or nodes):
            return None
        try:
            while not self._lock.take():
                number = self._supervisor.next_signal(_LOCK_SECONDS)
                if number in ENDING:
                    return number
            return self._bring(models, nodes)
        finally:
            self._lock.release()

    def _bring(self, models: Sequence[Path], nodes: Sequence[Path]) -> signal.Signals | None:
        for path in models:
            stopped = self._step("models", str(path), _models(path))
            if stopped is not None:
                return stopped
        for path in nodes:
            if not self._plan.installs_nodes:
                self._reporter(Warned(f"{path} was not read: this comfykit installs no nodes"))
                continue
            stopped = self._bring_nodes(path)
            if stopped is not None:
                return stopped
        return None

    def _bring_nodes(self, path: Path) -> signal.Signals | None:
        """The packs of a list together; where that fails, each by itself, since one may be the cause."""
        stopped = self._step("nodes", str(path), _nodes(str(path)))
        packs = _lines_of(path)
        if stopped is not None or self._code == 0 or len(packs) < 2:
            return stopped
        for pack in packs:
            stopped = self._step("nodes", pack, _nodes(pack))
            if stopped is not None:
                return stopped
        return None

    def watch(self) -> None:
        """Read a list of models again, beside the command, where it changed since it was read."""
        if self._update is not None and not self._ended(*self._update):
            return
        self._update = None
        for path in self._plan.models:
            look = _look_of(path)
            if look == self._seen[path]:
                continue
            if look is not None:
                if not self._lock.take():
                    return
                self._reporter(StepStarted("models", str(path)))
                self._update = path, self._spawn(_models(path), foreground=False)
            self._seen[path] = look
            return

    def end(self) -> None:
        """End what runs beside the command; what it has fetched is kept."""
        if self._update is not None:
            self._supervisor.end(self._update[1], seconds=_END_SECONDS)
            self._ended(*self._update)

    def _ended(self, path: Path, child: Child) -> bool:
        if child.code is None:
            return False
        self._lock.release()
        self._reporter(StepEnded("models", str(path), child.code))
        return True

    def _step(self, name: str, subject: str, arguments: Sequence[str]) -> signal.Signals | None:
        """One step to its end; the signal that ended it, if one did. A second signal kills it."""
        self._reporter(StepStarted(name, subject))
        child = self._spawn(arguments)
        stopped: signal.Signals | None = None
        while child.code is None:
            number = self._supervisor.next_signal()
            if number in ENDING:
                self._supervisor.pass_on(child, signal.SIGKILL if stopped else signal.SIGINT)
                stopped = stopped or number
        self._code = child.code
        self._reporter(StepEnded(name, subject, child.code))
        return stopped or (signal.SIGINT if child.code == INTERRUPTED else None)

    def _spawn(self, arguments: Sequence[str], *, foreground: bool = True) -> Child:
        as_json = ["--json"] if self._plan.as_json else []
        command, *rest = arguments
        return self._supervisor.spawn(
            [*self._plan.comfykit, command, *as_json, *rest],
            foreground=foreground,
            stdin=subprocess.DEVNULL,
            stdout=None if self._plan.as_json else _STANDARD_ERROR,
            environment=self.environment,
            keep=self._lock.held,
        )


def _models(path: Path) -> list[str]:
    return ["install-models", "--yes", "--", str(path)]


def _nodes(packs: str) -> list[str]:
    """How `comfykit install-nodes` is asked for a pack, or for those of a list."""
    return ["install-nodes", "--yes", "--", packs]


def _lines_of(path: Path) -> list[str]:
    """The packs that a list names; folders are those beside the list."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    packs = [f" {line}".partition(" #")[0].strip() for line in lines]
    return [str(path.parent / pack) if pack.startswith(".") else pack for pack in packs if pack]


def _look_of(path: Path) -> object:
    """What changes when a file is written or replaced; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
