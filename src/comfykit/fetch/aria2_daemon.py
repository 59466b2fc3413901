"""A private aria2c: started for one run, reachable from this machine alone, gone when the run is.

Nobody else can steer it: it listens at a random port of the loopback interface and wants a secret, which
it reads from a file without a name. It reads no settings of the user (`aria2.conf`, `.netrc`) and gets none
of the tokens that may lie in our environment. It ends with us however we end: by `close`, on Linux by a
signal at the moment that its parent dies, and by watching our process id.
"""

from __future__ import annotations

import ctypes
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from comfykit.errors import FetchError
from comfykit.fetch.aria2_settings import environment, options
from comfykit.fetch.limits import Limits

if TYPE_CHECKING:
    from comfykit.fetch.aria2_rpc import Rpc

_START_SECONDS = 15.0
_STARTS = 5  # somebody may take the port between our look and aria2's
_END_SECONDS = 3.0
_INSTEAD = "fetch with --backend httpx"
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None

Process = subprocess.Popen[bytes]


class Daemon:
    """An aria2c of our own: started by the first call of `rpc`, used from several threads."""

    def __init__(self, limits: Limits, command: str = "aria2c") -> None:
        self._limits = limits
        self._command = command
        self._lock = threading.Lock()
        self._process: Process | None = None
        self._rpc: Rpc | None = None

    def rpc(self) -> Rpc:
        """The way to talk to it; it is started where it does not run. Raises `FetchError`."""
        with self._lock:
            if self._rpc is None or self._process is None or self._process.poll() is not None:
                self._process, self._rpc = _start(self._command, self._limits)
            return self._rpc

    @property
    def pid(self) -> int | None:
        """Its process id; None while it does not run."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def close(self) -> None:
        """End it."""
        with self._lock:
            process, self._process, self._rpc = self._process, None, None
        if process is not None:
            _end(process)


def _start(command: str, limits: Limits) -> tuple[Process, Rpc]:
    from comfykit.fetch.aria2_rpc import Rpc, RpcFailed

    binary = shutil.which(command)
    if binary is None:
        raise FetchError(f"{command} is not installed", hint=f"install the package aria2, or {_INSTEAD}")
    said = "it does not start"
    for _ in range(_STARTS):
        port, secret = _free_port(), secrets.token_urlsafe(32)
        rpc = Rpc(port, secret)
        with tempfile.TemporaryFile() as words:
            process = _spawn(binary, options(limits, port, secret), words)
            deadline = time.monotonic() + _START_SECONDS
            while process.poll() is None and time.monotonic() < deadline:
                with suppress(RpcFailed):
                    rpc.get_version()
                    return process, rpc
                time.sleep(0.01)
            _end(process)
            words.seek(0)
            said = words.read(4096).decode("utf-8", "replace").strip().rpartition("\n")[2] or said
    raise FetchError(f"{binary} cannot be used: {said}", hint=_INSTEAD)


def _spawn(binary: str, chosen: Mapping[str, str], words: IO[bytes]) -> Process:
    """Start aria2c in a session of its own, so that Ctrl-C reaches us alone; `words` gets what it says.

    The signal at a parent's death is sent when the *thread* ends that started the child. One of its own
    starts it, and lives as long as the child does.
    """
    started: Future[Process] = Future()

    def keep() -> None:
        try:
            with tempfile.TemporaryFile() as settings:
                settings.write("".join(f"{name}={value}\n" for name, value in chosen.items()).encode())
                settings.seek(0)
                process = subprocess.Popen(
                    [binary, f"--conf-path=/dev/fd/{settings.fileno()}"],
                    pass_fds=[settings.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=words,
                    stderr=subprocess.STDOUT,
                    env=environment(),
                    start_new_session=True,
                    # Python ignores SIGXFSZ: so must aria2, or a file too large for the disk ends it.
                    restore_signals=False,
                    preexec_fn=_die_with_parent if _LIBC else None,  # noqa: PLW1509  (one system call)
                )
        except (OSError, subprocess.SubprocessError) as error:
            started.set_exception(FetchError(f"{binary} cannot be started ({error})", hint=_INSTEAD))
        else:
            started.set_result(process)
            process.wait()

    threading.Thread(target=keep, name="aria2", daemon=True).start()
    return started.result()


def _die_with_parent() -> None:
    """In the child, before it becomes aria2c: have the kernel kill it when we die (Linux)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _end(process: Process) -> None:
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
