"""One file on its way through aria2: given to it, watched, and taken back.

aria2 writes into the partial file through a link in a folder of ours, so that its control file lies
there and not beside models. What it has becomes our journal's account about once a second; whatever ends
the run, the next one goes on from there, with aria2 or without.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from comfykit.errors import FetchError, Interrupted
from comfykit.fetch.aria2_control import read_control, write_control
from comfykit.fetch.aria2_daemon import Daemon
from comfykit.fetch.aria2_errors import error_of
from comfykit.fetch.limits import Limits
from comfykit.fetch.partial import Partial
from comfykit.fetch.resolve import Remote
from comfykit.fetch.retry import Cause, fault
from comfykit.fetch.spans import Span, Spans
from comfykit.fetch.urls import host, origin
from comfykit.fetch.wire import USER_AGENT

if TYPE_CHECKING:
    from comfykit.fetch.aria2_rpc import Rpc

_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Task:
    """What to bring: `size` bytes from `remote` into `partial`, which has `done` of them."""

    remote: Remote
    size: int
    partial: Partial
    done: Spans


class Watcher(Protocol):
    """Is told how far a download is."""

    def advanced(self, count: int) -> None:
        """So many bytes have come, with those that were there."""

    def written(self, have: Spans) -> None:
        """These bytes are in the partial file; about once a second."""


class Download:
    """A download of aria2's; `link` is a path for it alone in the folder that control files go to."""

    def __init__(self, daemon: Daemon, task: Task, link: Path, limits: Limits, watcher: Watcher) -> None:
        self._daemon, self._task, self._link, self._limits = daemon, task, link, limits
        self._watcher = watcher
        self._control = link.with_name(f"{link.name}.aria2")
        self._have = task.done.copy()
        self._noted = time.monotonic()

    def run(self, cancel: threading.Event) -> None:
        """Bring the bytes that lack.

        Raises `TransferError` with its cause, `OSError` where the disk refuses them, `Interrupted`. The
        journal of the partial file has been brought up to date then, and aria2 writes no more.
        """
        from comfykit.fetch.aria2_rpc import RpcFailed

        rpc = self._daemon.rpc()
        self._link.symlink_to(self._task.partial.path.absolute())
        try:
            if self._task.done:
                self._control.write_bytes(write_control(self._task.size, self._task.done))
            gid = self._add(rpc)
            try:
                self._watch(rpc, gid, cancel)
            finally:
                ended = rpc.end(gid)
                if ended is None:
                    self._daemon.close()  # nobody else may write there when we give the file back
                whole = ended is not None and ended.state == "complete" and ended.total == self._task.size
                self._account(complete=whole)
        except RpcFailed as error:
            raise fault(Cause.BROKEN, str(error)) from error
        finally:
            self._link.unlink(missing_ok=True)
            self._control.unlink(missing_ok=True)

    def _add(self, rpc: Rpc) -> str:
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        identity = self._task.remote.identity
        if validator := identity.validator or (None if identity.etag else identity.modified):
            # When the file has changed, a request for a part is answered with all of it, which aria2 refuses.
            headers["If-Range"] = validator
        options = {
            "dir": str(self._link.parent),
            "out": self._link.name,
            "user-agent": self._task.remote.source.user_agent or USER_AGENT,
            "header": [f"{name}: {value}" for name, value in headers.items()],
        }
        return str(rpc.add_uri([self._task.remote.url], options))

    def _watch(self, rpc: Rpc, gid: str, cancel: threading.Event) -> None:
        """Wait for the end; raise why it is not a good one."""
        since, counted = time.monotonic(), 0
        while True:
            status = rpc.status(gid)
            if status.total not in (0, self._task.size):
                raise fault(
                    Cause.CHANGED,
                    f"{host(self._task.remote.url)} has a file of {status.total} bytes now: it has changed",
                )
            if status.state == "complete":
                self._watcher.advanced(self._task.size)
                return
            if not status.running:
                raise error_of(
                    status, host(self._task.remote.url), self._task.partial.fileno, self._task.size
                )
            self._watcher.advanced(status.done)
            now = time.monotonic()
            if now - since >= self._limits.slow_seconds:
                if status.done - counted < self._limits.slow_rate * (now - since):
                    raise self._stalled(status.done - counted, now - since)
                since, counted = now, status.done
            if now - self._noted >= self._limits.flush_seconds:
                self._refuse_plain(rpc.addresses(gid))
                self._account()
            if cancel.wait(_POLL_SECONDS):
                raise Interrupted("interrupted")

    def _account(self, *, complete: bool = False) -> None:
        """Flush and write down what aria2 has: nothing new where its control file cannot be read just now."""
        if complete:
            self._have = Spans([Span(0, self._task.size)])
        else:
            try:
                size, have = read_control(self._control.read_bytes())
            except (FileNotFoundError, ValueError):
                pass
            else:
                if size == self._task.size:
                    self._have = have
        os.fdatasync(self._task.partial.fileno)
        self._task.partial.journal.flushed(self._have)
        self._watcher.written(self._have)
        self._noted = time.monotonic()

    def _stalled(self, count: int, seconds: float) -> FetchError:
        return fault(
            Cause.STALLED, f"{host(self._task.remote.url)} sent only {count} bytes in {seconds:.0f} s"
        )

    def _refuse_plain(self, addresses: list[str]) -> None:
        """aria2 follows redirects by itself, also from https to http."""
        if origin(self._task.remote.url)[0] != "https":
            return
        for address in addresses:
            if origin(address)[0] != "https":
                raise fault(
                    Cause.ODD,
                    f"{host(self._task.remote.url)} redirects from https to {host(address)}, "
                    "which is not https; that is not followed",
                )
