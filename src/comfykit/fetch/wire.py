"""The data path: one GET over a kept-alive connection, its body read straight into our memory.

Plain sockets with `http.client` for the headers: reading with `recv_into` and writing with `pwrite`
takes half the processor time of httpx's chunks (benchmarks/RESULTS.md). Where a proxy is set,
`proxied` does the same with httpx. No redirects, no decoding, no cookies.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Protocol
from urllib.parse import urlsplit

from comfykit import __version__
from comfykit.fetch.body import SocketAnswer
from comfykit.fetch.connections import cause_of_socket, connect, tls_context, words_of_socket
from comfykit.fetch.headers import Headers
from comfykit.fetch.limits import Limits
from comfykit.fetch.line import Line, Phase
from comfykit.fetch.retry import fault
from comfykit.fetch.source import Origin
from comfykit.fetch.urls import host, origin

USER_AGENT = f"comfykit/{__version__}"
_IDLE_SECONDS = 20.0


class Answer(Protocol):
    """An answer whose body has not been read yet."""

    @property
    def status(self) -> int:
        """HTTP status code."""

    @property
    def headers(self) -> Headers:
        """Header fields."""

    def readinto(self, view: memoryview) -> int:
        """Read some of the body; 0 at its end. Raises `TransferError` where it breaks or ends early."""

    def close(self) -> None:
        """Give the connection back if the body was read, else drop it."""


class Wire(Protocol):
    """Makes single requests; used from several threads at once."""

    def get(self, url: str, headers: Mapping[str, str], line: Line) -> Answer:
        """Ask for an address; raises `TransferError` without an answer, or what `line` was ended with."""

    def close(self) -> None:
        """Drop idle connections."""


class SocketWire:
    """Requests over sockets of our own, which are kept and shared by all files."""

    def __init__(self, limits: Limits, tls: ssl.SSLContext | None = None) -> None:
        self._limits = limits
        self._tls = tls or tls_context()
        self._lock = threading.Lock()
        self._idle: dict[Origin, list[tuple[http.client.HTTPConnection, float]]] = {}

    def get(self, url: str, headers: Mapping[str, str], line: Line) -> Answer:
        """As `Wire.get`."""
        fields = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity", **headers}
        line.enter(Phase.ASKING, host(url))
        while True:
            connection = kept = self._take(origin(url))
            try:
                connection = kept or connect(url, self._limits, self._tls)
                connected = connection.sock
                line.hold(connected)
                response = _ask(connection, url, fields)
            except (OSError, http.client.HTTPException, ValueError) as error:
                if connection is not None:
                    connection.close()
                line.check()
                if kept is None:
                    raise fault(
                        cause_of_socket(error), f"{host(url)}: {words_of_socket(error, self._limits)}"
                    ) from error
                continue  # the server had closed it meanwhile: try with the next, at last with a new one
            line.enter(Phase.READING)
            keep = partial(self._give_back, origin(url))
            return SocketAnswer(host(url), connection, connected, response, line, keep)

    def close(self) -> None:
        """As `Wire.close`."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection, _ in connections:
                connection.close()

    def _give_back(self, key: Origin, connection: http.client.HTTPConnection) -> None:
        """Keep a connection for the next request."""
        with self._lock:
            self._idle.setdefault(key, []).append((connection, time.monotonic()))

    def _take(self, key: Origin) -> http.client.HTTPConnection | None:
        """A kept connection on which nothing waits: what a server sends unasked belongs to no answer."""
        while True:
            with self._lock:
                connections = self._idle.get(key)
                if not connections:
                    return None
                connection, since = connections.pop()
            if time.monotonic() - since < _IDLE_SECONDS and not _readable(connection.sock):
                return connection
            connection.close()


def _ask(
    connection: http.client.HTTPConnection, url: str, fields: Mapping[str, str]
) -> http.client.HTTPResponse:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request("GET", target, headers=dict(fields))
    return connection.getresponse()


def _readable(connected: socket.socket) -> bool:
    """Whether something waits on a connection that nobody asked anything: bytes, or its end."""
    try:
        connected.setblocking(False)
        try:
            connected.recv(1)
            return True
        finally:
            connected.setblocking(True)
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except (OSError, ValueError):
        return True
