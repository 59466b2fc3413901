"""Talking to an aria2 daemon: aria2p's client, over a connection of our own.

aria2p sends its calls with requests, which would hand the secret to the proxy of HTTP_PROXY. Importing
this module takes a while: it is imported when the first file goes to aria2.
"""

from __future__ import annotations

import http.client
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aria2p

_KEYS = ["status", "completedLength", "totalLength", "errorCode", "errorMessage"]
_SECONDS = 10.0
_RUNNING = frozenset({"active", "waiting", "paused"})


class RpcFailed(Exception):
    """The daemon did not answer, or refused a call."""


class Refused(RpcFailed):
    """It answered, and what was asked cannot be done."""


@dataclass(frozen=True, slots=True)
class Status:
    """What aria2 says of a download.

    `state` is active, waiting, paused, complete, removed or error; `done` counts bytes that arrived, of
    `total` (0 while it does not know); `code` is aria2's exit status ("EXIT STATUS" in its manual), 0
    unless the state is error.
    """

    state: str
    done: int
    total: int
    code: int
    message: str

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.state in _RUNNING


class Rpc(aria2p.Client):
    """aria2's methods at a port of this machine; each call is a connection of its own."""

    def __init__(self, port: int, secret: str) -> None:
        super().__init__(host="http://127.0.0.1", port=port, secret=secret, timeout=_SECONDS)

    def post(self, payload: str) -> dict[str, Any]:
        """Send a call; raises `RpcFailed` where there is no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        try:
            connection.request("POST", "/jsonrpc", payload, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise RpcFailed(f"aria2 does not answer ({error or type(error).__name__})") from error
        finally:
            connection.close()
        if not isinstance(answer, dict):
            raise RpcFailed("aria2 answers something else")
        return answer

    def call(self, *arguments: Any, **more: Any) -> Any:
        """Call a method; raises `RpcFailed`."""
        try:
            return super().call(*arguments, **more)
        except aria2p.ClientException as error:
            raise Refused(f"aria2: {error}") from error

    def status(self, gid: str) -> Status:
        """How far a download is."""
        told = self.tell_status(gid, _KEYS)
        return Status(
            told["status"],
            int(told["completedLength"]),
            int(told["totalLength"]),
            int(told.get("errorCode", 0)) if told["status"] == "error" else 0,
            told.get("errorMessage", ""),
        )

    def addresses(self, gid: str) -> list[str]:
        """Where the bytes of a download come from right now, after redirects; none when it has ended."""
        try:
            files = self.get_servers(gid)
        except Refused:
            return []
        return [server["currentUri"] for file in files for server in file["servers"]]

    def end(self, gid: str) -> Status | None:
        """Take a download back: how it ended. None when aria2 may still write to its file."""
        deadline = time.monotonic() + _SECONDS
        try:
            with suppress(Refused):  # it has ended by itself
                self.force_remove(gid)
            while (status := self.status(gid)).running:
                if time.monotonic() > deadline:
                    return None
                time.sleep(0.01)
            self.remove_download_result(gid)
        except RpcFailed:
            return None
        return status
