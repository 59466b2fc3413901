"""Departures from the rules: handlers around a stored file that do one thing wrong.

A handler that changes with time counts only requests for a piece of the file: how often a client looks
at a few bytes before it fetches is its own affair.
"""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable

from fault_server import Exchange, Handler, Headers
from stored_file import Stored

_LOOK_BYTES = 4096  # a request for no more than this is a look at the file, not a piece of it
PAGE = b"<!DOCTYPE html><html><head><title>Please log in</title></head><body>Log in</body></html>"
POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


def by_turn(stored: Stored, script: Callable[[int], Handler]) -> Handler:
    """The script names the handler for the n-th request (from 0) for a piece; looks get the file."""
    lock, turns = threading.Lock(), [0]

    def handler(exchange: Exchange) -> None:
        start, end = stored.span(exchange) or (0, len(stored.data))
        if end - start <= _LOOK_BYTES:
            stored(exchange)
            return
        with lock:
            turn = turns[0]
            turns[0] += 1
        script(turn)(exchange)

    return handler


def at_first(times: int, fault: Handler, stored: Stored) -> Handler:
    """The fault for the first requests for a piece, then the file."""
    return by_turn(stored, lambda turn: fault if turn < times else stored)


def later(times: int, fault: Handler, stored: Stored) -> Handler:
    """The file for the first requests for a piece, then the fault."""
    return by_turn(stored, lambda turn: stored if turn < times else fault)


# Connections that end, stall or say too much


def cut(stored: Stored, end: Callable[[Exchange], None]) -> Handler:
    """Half of what was asked for, announced as all of it, then the end of the connection."""

    def handler(exchange: Exchange) -> None:
        span = stored.span(exchange)
        start, stop = span or (0, len(stored.data))
        if span:
            exchange.head(206, stored.partial_headers(start, stop))
        else:
            exchange.head(200, [*stored.identity(), ("Content-Length", str(stop))])
        exchange.body(memoryview(stored.data)[start : (start + stop) // 2])
        end(exchange)

    return handler


def talkative(stored: Stored) -> Handler:
    """All that was asked for, and more bytes than announced."""

    def handler(exchange: Exchange) -> None:
        stored(exchange)
        exchange.raw(b"more than was announced" * 100)
        exchange.hang_up()

    return handler


def trickling(stored: Stored, limit: int, seconds: float = 0.05) -> Handler:
    """Bytes before `limit` come at once, later ones now and then, so that no read ever times out."""

    def handler(exchange: Exchange) -> None:
        start, stop = stored.span(exchange) or (0, len(stored.data))
        quick = max(start, min(stop, limit))
        begin(stored, exchange)
        exchange.body(memoryview(stored.data)[start:quick])
        for at in range(quick, stop):
            exchange.pause(seconds)
            exchange.body(stored.data[at : at + 1])

    return handler


def begin(stored: Stored, exchange: Exchange) -> None:
    """The head of a right answer."""
    span = stored.span(exchange)
    if span:
        exchange.head(206, stored.partial_headers(*span))
    else:
        exchange.head(200, [*stored.identity(), ("Content-Length", str(len(stored.data)))])


def endless_head(exchange: Exchange) -> None:
    """A header that never ends, a byte at a time."""
    exchange.raw(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        exchange.pause(0.05)
        exchange.raw(b"x")


def huge_head(exchange: Exchange) -> None:
    """One header line of 8 MiB."""
    exchange.raw(b"HTTP/1.1 200 OK\r\nX-Long: ")
    for _ in range(1024):
        exchange.raw(b"x" * 8192)
    exchange.raw(b"\r\nContent-Length: 4\r\n\r\nbody")


def many_headers(exchange: Exchange) -> None:
    """A hundred thousand headers."""
    exchange.raw(b"HTTP/1.1 200 OK\r\n")
    for first in range(0, 100_000, 1000):
        exchange.raw(b"".join(b"X-%d: y\r\n" % (first + i) for i in range(1000)))
    exchange.raw(b"Content-Length: 4\r\n\r\nbody")


def continues(exchange: Exchange) -> None:
    """Interim answers for ever."""
    while True:
        exchange.raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 50)
        exchange.pause(0.01)


def no_http(exchange: Exchange) -> None:
    """Something that is not HTTP."""
    exchange.raw(b"SSH-2.0-OpenSSH_9.2\r\n")
    exchange.hang_up()


# Ranges that are not as asked


def ranged(stored: Stored, place: str | None, *, shift: int = 0, kind: str | None = None) -> Handler:
    """A 206 whose Content-Range is what `place` makes of {start}, {last} and {total}; None: no header."""

    def handler(exchange: Exchange) -> None:
        span = stored.span(exchange)
        if span is None:
            stored(exchange)
            return
        start, stop = span
        names = {"start": start, "last": stop - 1, "next": start + 1, "less": stop - 2}
        told = place.format(**names, total=len(stored.data), other=len(stored.data) + 1) if place else None
        fields = [pair for pair in stored.partial_headers(start, stop) if pair[0] != "Content-Range"]
        if kind:
            fields = [pair for pair in fields if pair[0] != "Content-Type"] + [("Content-Type", kind)]
        if told:
            fields.append(("Content-Range", told))
        shifted = (stored.data + stored.data)[start + shift : stop + shift]
        exchange.head(206, fields)
        exchange.body(shifted)

    return handler


def never_satisfied(stored: Stored) -> Handler:
    """416 to every request for a range, and also to one without."""
    return lambda exchange: exchange.answer(416, b"", [("Content-Range", f"bytes */{len(stored.data)}")])


# Bodies that are not the file


def chunked(stored: Stored, *, whole: bool = True) -> Handler:
    """No length and no ranges; without `whole`, the last chunk never comes."""

    def handler(exchange: Exchange) -> None:
        exchange.head(200, [("Content-Type", stored.content_type), ("Transfer-Encoding", "chunked")])
        for start in range(0, len(stored.data), 50_000):
            block = stored.data[start : start + 50_000]
            exchange.raw(b"%x\r\n" % len(block))
            exchange.body(block)
            exchange.raw(b"\r\n")
            if not whole and start:
                exchange.hang_up()
        exchange.raw(b"0\r\n\r\n")

    return handler


def until_close(stored: Stored, *, lacking: int = 0) -> Handler:
    """No length: the end of the connection is the end of the file, which may lack its last bytes."""

    def handler(exchange: Exchange) -> None:
        exchange.head(200, [("Content-Type", stored.content_type), ("Connection", "close")])
        exchange.body(stored.data[: len(stored.data) - lacking])
        exchange.hang_up()

    return handler


def gzipped(stored: Stored) -> Handler:
    """The file coded as gzip, which nobody asked for, whatever range was."""
    coded = gzip.compress(stored.data, 1)
    fields = [("Content-Type", stored.content_type), ("Content-Encoding", "gzip")]
    return lambda exchange: exchange.answer(200, coded, fields)


def said(status: int, data: bytes = b"", *fields: tuple[str, str]) -> Handler:
    """Always the same answer."""
    return lambda exchange: exchange.answer(status, data, fields)


def page(data: bytes = PAGE, kind: str = "text/html") -> Handler:
    """A page where the file should be, with status 200."""
    return said(200, data, ("Content-Type", kind))


def announced(size: int, stored: Stored) -> Handler:
    """A file that is said to have `size` bytes."""

    def handler(exchange: Exchange) -> None:
        span = stored.span(exchange)
        if span:
            start, stop = span
            place = ("Content-Range", f"bytes {start}-{stop - 1}/{size}")
            exchange.head(206, [*stored.identity(), place, ("Content-Length", str(stop - start))])
            exchange.body(stored.data[start:stop])
        else:
            exchange.head(200, [*stored.identity(), ("Content-Length", str(size))])
            exchange.body(stored.data)
            exchange.hang_up()

    return handler


# Going elsewhere


def to(location: str | None, status: int = 302, *fields: tuple[str, str]) -> Handler:
    """A redirect; None: without a Location."""
    headers: Headers = fields if location is None else [*fields, ("Location", location)]
    return said(status, b"", *headers)


def further(status: int = 302) -> Handler:
    """A chain without an end: each redirect leads to a new address."""

    def handler(exchange: Exchange) -> None:
        path, _, turn = exchange.request.target.partition("?n=")
        exchange.answer(status, b"", [("Location", f"{path}?n={int(turn or 0) + 1}")])

    return handler


def given_up_at(stored: Stored, limit: int) -> Handler:
    """Bytes before `limit` come; where a later one is due the connection is reset."""

    def handler(exchange: Exchange) -> None:
        start, stop = stored.span(exchange) or (0, len(stored.data))
        begin(stored, exchange)
        exchange.body(memoryview(stored.data)[start : max(start, min(stop, limit))])
        if stop > limit:
            exchange.reset()

    return handler


def stalling_at(stored: Stored, limit: int) -> Handler:
    """Bytes before `limit` come; where a later one is due nothing comes any more."""

    def handler(exchange: Exchange) -> None:
        start, stop = stored.span(exchange) or (0, len(stored.data))
        begin(stored, exchange)
        exchange.body(memoryview(stored.data)[start : max(start, min(stop, limit))])
        if stop > limit:
            exchange.pause(30)

    return handler
