"""Runs commands as the first process of a container has to: signals reach them, and nothing dead remains.

The kernel gives the first process of a container the orphans of all others, and kills everything when it
ends. Signals are blocked and taken one after the other, so that none interrupts anything else.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

from comfykit.errors import UsageError

# What asks a process to end. The rest of what is passed on means something to some programs.
ENDING = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM})
_PASSED_ON = ENDING | {signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT}
_TAKEN = _PASSED_ON | {signal.SIGCHLD}
# With SIGTTOU blocked, the terminal can be handed on from the background.
_BLOCKED = _TAKEN | {signal.SIGTTOU}

NOT_FOUND, NOT_EXECUTABLE = 127, 126  # the shells' exit codes
_BY_SIGNAL = 128
_SET_CHILD_SUBREAPER = 36  # prctl(2)
_STANDARD_INPUT = 0


@dataclass(slots=True)
class Child:
    """A command that was started; `code` is None while it runs, then its exit code as shells count them."""

    pid: int
    code: int | None = None
    has_terminal: bool = False

    @property
    def was_started(self) -> bool:
        """Whether there ever was such a process."""
        return self.pid > 0


class Supervisor:
    """Starts commands, passes signals on to them and reaps whatever ends; entered once in a process."""

    def __init__(self) -> None:
        self._running: dict[int, Child] = {}
        self._mask: set[signal.Signals] = set()
        self._has_terminal = False

    def __enter__(self) -> Supervisor:
        self._mask = {signal.Signals(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)}
        self._has_terminal = _is_in_foreground()
        # Orphans come to us also where something else is the container's first process.
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in list(self._running.values()):
            self.end(child, seconds=0.0)
        self._take_terminal()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def spawn(
        self,
        command: Sequence[str],
        *,
        foreground: bool = True,
        stdin: int | None = None,
        stdout: int | None = None,
        environment: Mapping[str, str] | None = None,
        keep: Sequence[int] = (),
    ) -> Child:
        """Start a command in a process group of its own; one in the foreground gets the terminal.

        `keep` are descriptors that it inherits. A command that cannot be started has ended with the exit
        code that shells give for it.
        """
        terminal = foreground and self._has_terminal

        def prepare() -> None:
            os.setpgid(0, 0)
            if terminal:
                os.tcsetpgrp(_STANDARD_INPUT, os.getpgrp())
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

        try:
            process = subprocess.Popen(
                list(command),
                stdin=stdin,
                stdout=stdout,
                env=environment,
                pass_fds=tuple(keep),
                preexec_fn=prepare,  # noqa: PLW1509  (no other thread runs here)
            )
        except FileNotFoundError:
            return self._not_started(NOT_FOUND)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ENOMEM):
                raise
            return self._not_started(NOT_EXECUTABLE)
        process.returncode = 0  # it is reaped here, with all others
        child = self._running[process.pid] = Child(process.pid, has_terminal=terminal)
        return child

    def next_signal(self, seconds: float | None = None) -> signal.Signals | None:
        """The next signal that somebody sent; None after `seconds`, and whenever a process has ended."""
        if seconds is None:
            number = signal.sigwaitinfo(_TAKEN).si_signo
        else:
            information = signal.sigtimedwait(_TAKEN, max(seconds, 0.0))
            if information is None:
                return None
            number = information.si_signo
        if number == signal.SIGCHLD:
            self._reap()
            return None
        return signal.Signals(number)

    def pass_on(self, child: Child, number: signal.Signals) -> None:
        """Send a signal to a command and to what it started, if it still runs."""
        if child.pid in self._running:
            os.killpg(child.pid, number)

    def end(self, child: Child, *, seconds: float) -> None:
        """Have a command end as Ctrl-C does it, and kill it if it still runs after `seconds`."""
        self.pass_on(child, signal.SIGINT if seconds else signal.SIGKILL)
        deadline = time.monotonic() + seconds
        while child.code is None:
            left = deadline - time.monotonic()
            if left <= 0:
                self.pass_on(child, signal.SIGKILL)
            self.next_signal(max(left, 0.1))

    def _not_started(self, code: int) -> Child:
        self._take_terminal()
        return Child(0, code)

    def _reap(self) -> None:
        """Take the exit codes of all that ended, orphans of strangers among them."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._running.pop(pid, None)
            if child is not None:
                code = os.waitstatus_to_exitcode(status)
                child.code = code if code >= 0 else _BY_SIGNAL - code
                if child.has_terminal:
                    self._take_terminal()

    def _take_terminal(self) -> None:
        if self._has_terminal:
            os.tcsetpgrp(_STANDARD_INPUT, os.getpgrp())


def code_of(number: signal.Signals) -> int:
    """The exit code of what a signal ended."""
    return _BY_SIGNAL + number


def require_signals() -> None:
    """Raise `UsageError` on systems that cannot do what a supervisor needs."""
    if not hasattr(signal, "sigtimedwait"):
        raise UsageError("comfykit start is for containers, which are Linux", hint="use comfykit run")


def _is_in_foreground() -> bool:
    """Whether standard input is a terminal and ours to hand on."""
    try:
        return os.isatty(_STANDARD_INPUT) and os.tcgetpgrp(_STANDARD_INPUT) == os.getpgrp()
    except OSError:
        return False
