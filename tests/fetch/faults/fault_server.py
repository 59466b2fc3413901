"""A web server that breaks the rules when told to: real sockets, a thread for each connection.

A `Site` is one origin. What it does with a path is a handler, a function of an `Exchange`, which has the
request and raw means to answer it: whole answers, single bytes, silence, a reset. All sites of a test
write what they were asked, and how many bytes of a body they gave, to one `Capture`.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

_BLOCK = 8 * 1024
_STEP_SECONDS = 0.05  # with a limit of speed, a block is what may come in so long
_PATIENCE_SECONDS = 30.0  # no connection of a test lives longer without a request

Headers = Sequence[tuple[str, str]]


class HungUp(Exception):
    """The connection is over; nothing more is said on it."""


@dataclass(frozen=True)
class Request:
    """What a client asked; names of headers in lower case."""

    origin: str
    method: str
    target: str
    headers: Mapping[str, str]
    connection: int

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass
class Capture:
    """Everything that all sites of a test were asked."""

    requests: list[Request] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)  # bytes of bodies by path
    lock: threading.Lock = field(default_factory=threading.Lock)
    asked: threading.Event = field(default_factory=threading.Event)

    def note(self, request: Request) -> int:
        """Write a request down; how many for the same path came before it."""
        with self.lock:
            before = sum(other.path == request.path for other in self.requests)
            self.requests.append(request)
            self.asked.set()
            return before

    def count(self, path: str, size: int) -> None:
        with self.lock:
            self.sent[path] += size

    def total(self) -> int:
        """Bytes of all bodies so far."""
        with self.lock:
            return sum(self.sent.values())

    def of(self, site: Site) -> list[Request]:
        with self.lock:
            return [request for request in self.requests if request.origin == site.url]

    def connections(self) -> int:
        with self.lock:
            return len({(request.origin, request.connection) for request in self.requests})


class Exchange:
    """One request and the means to answer it; `before` counts earlier requests for its path."""

    def __init__(self, request: Request, before: int, connection: socket.socket, site: Site) -> None:
        self.request = request
        self.before = before
        self.site = site
        self._connection = connection

    def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        self._connection.sendall(data)

    def head(self, status: int, headers: Headers = ()) -> None:
        """Status line and headers."""
        first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"
        lines = [f"{name}: {text}" for name, text in headers]
        self.raw("\r\n".join([first, *lines, "", ""]).encode("latin-1"))

    def body(self, data: bytes | memoryview, rate: float | None = None) -> None:
        """Bytes of a body, counted; at most `rate` of them a second."""
        if self.request.method == "HEAD":
            return
        view, size = memoryview(data), _BLOCK
        if rate:
            size = max(1, min(_BLOCK, int(rate * _STEP_SECONDS)))
        for start in range(0, len(view), size):
            block = view[start : start + size]
            if rate:
                self.pause(len(block) / rate)
            if self._is_left():
                raise HungUp
            self._connection.sendall(block)
            self.site.capture.count(self.request.path, len(block))

    def _is_left(self) -> bool:
        """Whether the client has closed the connection: what is sent then arrives nowhere."""
        if isinstance(self._connection, ssl.SSLSocket):
            return False
        readable, _, _ = select.select([self._connection], [], [], 0)
        return bool(readable) and not self._connection.recv(1, socket.MSG_PEEK)

    def answer(self, status: int, data: bytes = b"", headers: Headers = ()) -> None:
        """A whole answer of that length."""
        self.head(status, [*headers, ("Content-Length", str(len(data)))])
        self.body(data)

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than the site lives."""
        if self.site.ended.wait(seconds):
            raise HungUp

    def wait_for(self, event: threading.Event) -> None:
        """Wait until something has happened, but not longer than the site lives."""
        while not event.wait(0.05):
            self.pause(0)

    def hang_up(self) -> None:
        """End the connection as if that were all."""
        raise HungUp

    def reset(self) -> None:
        """End the connection with an RST, as a crashed server or a middlebox does."""
        time.sleep(0.01)  # what was sent before shall arrive: an RST overtakes it
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise HungUp


Handler = Callable[[Exchange], None]


def missing(exchange: Exchange) -> None:
    """What a site says about paths it does not know."""
    exchange.answer(404, b"not here", [("Content-Type", "text/plain")])


class Site:
    """One origin on this machine. `routes` has a handler for each path; `tls` makes it https."""

    def __init__(self, capture: Capture, tls: ssl.SSLContext | None = None) -> None:
        self.capture = capture
        self.routes: dict[str, Handler] = {}
        self.fallback: Handler = missing
        self.ended = threading.Event()
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._made = 0
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop answering; handlers that wait are woken."""
        self.ended.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self.ended.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._made += 1
            threading.Thread(target=self._serve, args=(connection, self._made), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        self._open.add(connection)
        # A small buffer, so that bytes are counted about when they arrive and not far ahead.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _BLOCK)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(_PATIENCE_SECONDS)
        try:
            if self._tls:
                wrapped = self._tls.wrap_socket(connection, server_side=True)
                self._open.discard(connection)
                connection = wrapped
                self._open.add(connection)
            for request in _requests(connection, self.url, number):
                handler = self.routes.get(request.path, self.fallback)
                handler(Exchange(request, self.capture.note(request), connection, self))
        except (HungUp, OSError):  # the client or the handler ended it
            pass
        finally:
            self._open.discard(connection)
            connection.close()


def _requests(connection: socket.socket, origin: str, number: int) -> Iterator[Request]:
    """The requests that come over one connection, one after the other; none has a body."""
    waiting = b""
    while True:
        while b"\r\n\r\n" not in waiting:
            received = connection.recv(64 * 1024)
            if not received:
                return
            waiting += received
        head, _, waiting = waiting.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
        yield Request(origin, method, target, headers, number)
        if headers.get("connection", "").lower() == "close":
            return
