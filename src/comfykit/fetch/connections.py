"""Opening connections, and sentences for what sockets say when one does not open or breaks."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
from contextlib import suppress
from urllib.parse import urlsplit

from comfykit.fetch.limits import Limits
from comfykit.fetch.retry import Cause
from comfykit.fetch.urls import origin


def connect(url: str, limits: Limits, tls: ssl.SSLContext) -> http.client.HTTPConnection:
    """A connection to the server of an address; raises `OSError`."""
    parts = urlsplit(url)
    name, seconds = parts.hostname or "", limits.connect_seconds
    port = origin(url)[2]
    plain = socket.create_connection((name, port), timeout=seconds)
    connection: http.client.HTTPConnection
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if origin(url)[0] == "https":
            connection = http.client.HTTPSConnection(name, port, context=tls)
            connection.sock = tls.wrap_socket(plain, server_hostname=name)
        else:
            connection = http.client.HTTPConnection(name, port)
            connection.sock = plain
        connection.sock.settimeout(None)
    except BaseException:
        plain.close()
        raise
    connection.auto_open = 0
    return connection


def tls_context() -> ssl.SSLContext:
    """The system's certificates and certifi's, or those of `SSL_CERT_FILE` alone."""
    context = ssl.create_default_context()
    if not os.environ.get("SSL_CERT_FILE"):
        with suppress(ImportError):  # httpx brings it along, for systems without certificates of their own
            import certifi

            context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def cause_of_socket(error: Exception) -> Cause:
    """Whether a request failed before or after the server was there."""
    unreachable = (socket.gaierror, ConnectionRefusedError, TimeoutError, ssl.SSLError)
    if isinstance(error, unreachable) or (
        isinstance(error, OSError) and not isinstance(error, ConnectionError)
    ):
        return Cause.UNREACHABLE
    return Cause.BROKEN


def words_of_socket(error: Exception, limits: Limits | None) -> str:
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
