"""The data path: one GET over a kept-alive connection, its body read straight into our memory.

Plain sockets with `http.client` for the headers: reading with `recv_into` and writing with `pwrite`
takes half the processor time of httpx's chunks (benchmarks/RESULTS.md). Where a proxy is set,
`proxied` does the same with httpx. No redirects, no decoding, no cookies.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Protocol
from urllib.parse import urlsplit

from comfykit import __version__
from comfykit.fetch.limits import Limits
from comfykit.fetch.line import Line, Phase
from comfykit.fetch.retry import Cause, fault
from comfykit.fetch.source import Origin
from comfykit.fetch.urls import host, origin

USER_AGENT = f"comfykit/{__version__}"
_IDLE_SECONDS = 20.0
_DRAIN_BYTES = 64 * 1024
# A plain socket fills the whole buffer in one call, or gives what it has after this.
_GATHER_SECONDS = 0.2
_GATHER = getattr(socket, "MSG_WAITALL", 0)


class Headers(Mapping[str, str]):
    """Header fields; names are matched without case, repeated ones are joined."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._fields: dict[str, str] = {}
        for name, value in fields:
            key = name.lower()
            self._fields[key] = f"{self._fields[key]}, {value}" if key in self._fields else value

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


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
                connection = kept or self._connect(url)
                connected = connection.sock
                line.hold(connected)
                response = _ask(connection, url, fields)
            except (OSError, http.client.HTTPException, ValueError) as error:
                if connection is not None:
                    connection.close()
                line.check()
                if kept is None:
                    raise fault(_cause(error), f"{host(url)}: {_words(error, self._limits)}") from error
                continue  # the server had closed it meanwhile: try with the next, at last with a new one
            line.enter(Phase.READING)
            return _SocketAnswer(self, url, connection, connected, response, line)

    def close(self) -> None:
        """As `Wire.close`."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection, _ in connections:
                connection.close()

    def give_back(self, url: str, connection: http.client.HTTPConnection) -> None:
        """Keep a connection for the next request."""
        with self._lock:
            self._idle.setdefault(origin(url), []).append((connection, time.monotonic()))

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

    def _connect(self, url: str) -> http.client.HTTPConnection:
        parts = urlsplit(url)
        name, seconds = parts.hostname or "", self._limits.connect_seconds
        port = origin(url)[2]
        plain = socket.create_connection((name, port), timeout=seconds)
        connection: http.client.HTTPConnection
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if origin(url)[0] == "https":
                connection = http.client.HTTPSConnection(name, port, context=self._tls)
                connection.sock = self._tls.wrap_socket(plain, server_hostname=name)
            else:
                connection = http.client.HTTPConnection(name, port)
                connection.sock = plain
            connection.sock.settimeout(None)
        except BaseException:
            plain.close()
            raise
        connection.auto_open = 0
        return connection


class _SocketAnswer:
    """The body of an answer, read past `http.client` where it comes in one piece."""

    def __init__(
        self,
        wire: SocketWire,
        url: str,
        connection: http.client.HTTPConnection,
        connected: socket.socket,
        response: http.client.HTTPResponse,
        line: Line,
    ) -> None:
        self._wire, self._url, self._line = wire, url, line
        self._connection, self._response = connection, response
        self._socket = connected  # http.client forgets it where the server closes after this answer
        self._plain = not isinstance(connected, ssl.SSLSocket)
        self._remaining: int | None = None if response.chunked else response.length
        self._drained = self._ended = False
        self._closes = response.will_close
        self.status = response.status
        self.headers = Headers(response.getheaders())

    def readinto(self, view: memoryview) -> int:
        """As `Answer.readinto`."""
        if self._ended or self._remaining == 0:
            return 0
        want = view if self._remaining is None else view[: self._remaining]
        try:
            count = self._read(want)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._closes = True
            self._line.check()
            raise fault(Cause.BROKEN, f"{host(self._url)}: {_words(error, None)}") from error
        self._line.check()
        self._line.arrived(count)
        if self._remaining is not None:
            if not count:
                self._closes = True
                raise fault(
                    Cause.BROKEN,
                    f"{host(self._url)}: the connection broke ({self._remaining} bytes before the end)",
                )
            self._remaining -= count
        self._ended = not count
        return count

    def close(self) -> None:
        """As `Answer.close`."""
        whole = self._ended if self._remaining is None else self._remaining == 0
        if not whole and self._remaining is not None and self._remaining <= _DRAIN_BYTES:
            whole = self._drain()
        self._line.let_go()
        self._response.close()
        if whole and not self._closes and self._connection.sock is not None:
            if self._drained and self._plain and _GATHER:
                _set_receive_timeout(self._socket, 0.0)
            self._wire.give_back(self._url, self._connection)
        else:
            self._connection.close()
            self._socket.close()

    def _drain(self) -> bool:
        """Read what little is left, so that the connection can be kept."""
        view = memoryview(bytearray(_DRAIN_BYTES))
        try:
            while self.readinto(view):
                pass
        except Exception:  # noqa: BLE001  (the answer is not wanted any more, nor is why it ended)
            return False
        return True

    def _read(self, view: memoryview) -> int:
        if self._response.chunked:
            data = self._response.read1(len(view))
            view[: len(data)] = data
            return len(data)
        if not self._drained:
            # Reading the headers took the start of the body along; one read of its buffer's size empties it.
            data = self._response.fp.read1(min(len(view), io.DEFAULT_BUFFER_SIZE))
            self._drained = len(view) >= io.DEFAULT_BUFFER_SIZE
            if self._drained and self._plain and _GATHER:  # the buffer would take a timeout for an end
                _set_receive_timeout(self._socket, _GATHER_SECONDS)
            view[: len(data)] = data
            return len(data)
        while True:
            try:
                return self._socket.recv_into(view, 0, _GATHER if self._plain else 0)
            except BlockingIOError:
                self._line.check()


def tls_context() -> ssl.SSLContext:
    """The system's certificates and certifi's, or those of `SSL_CERT_FILE` alone."""
    context = ssl.create_default_context()
    if not os.environ.get("SSL_CERT_FILE"):
        import certifi

        context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


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


def _set_receive_timeout(connected: socket.socket, seconds: float) -> None:
    whole = int(seconds)
    value = struct.pack("ll", whole, int((seconds - whole) * 1e6))
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)


def _cause(error: Exception) -> Cause:
    """Whether a request failed before or after the server was there."""
    unreachable = (socket.gaierror, ConnectionRefusedError, TimeoutError, ssl.SSLError)
    if isinstance(error, unreachable) or (
        isinstance(error, OSError) and not isinstance(error, ConnectionError)
    ):
        return Cause.UNREACHABLE
    return Cause.BROKEN


def _words(error: Exception, limits: Limits | None) -> str:
    """A sentence for what a socket said."""
    if isinstance(error, OSError) and not isinstance(error, ConnectionResetError | BrokenPipeError):
        return f"no connection{_why(error, limits)}"
    detail = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"the connection broke ({detail or type(error).__name__})"


def _why(error: OSError, limits: Limits | None) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f" (its certificate is refused: {error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f" (TLS: {error.reason or error})"
    if isinstance(error, socket.gaierror):
        return f" (the name is not known: {error.strerror})"
    if isinstance(error, TimeoutError) and limits is not None:
        return f" within {limits.connect_seconds:g} s"
    return f" ({error.strerror or error})"
