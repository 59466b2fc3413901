"""The transport over a network: httpx, without its redirects, decoding and cookies."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from comfykit import __version__
from comfykit.errors import TransferError
from comfykit.fetch.threads import in_thread
from comfykit.fetch.transport import Response
from comfykit.fetch.urls import host

CONNECT_SECONDS = 15.0
SILENCE_SECONDS = 30.0
# httpx's read timeout starts anew with every byte; this is for headers that arrive one by one.
ANSWER_SECONDS = 60.0

USER_AGENT = f"comfykit/{__version__}"


class HttpTransport:
    """Requests over pooled connections; honours HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE."""

    def __init__(
        self, *, silence_seconds: float = SILENCE_SECONDS, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self._answer_seconds = answer_seconds
        self._client = httpx.Client(
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            timeout=httpx.Timeout(silence_seconds, connect=CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
        )

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str]) -> Iterator[Response]:
        """Ask for an address; the connection is given back, or dropped, at the end of the block."""
        fields = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity", **headers}
        try:
            request = self._client.build_request("GET", url, headers=fields)
        except httpx.InvalidURL as error:
            raise TransferError(f"{host(url)} cannot be asked: {error}") from error
        response = self._send(request, host(url))
        try:
            yield _HttpResponse(response, host(url))
        finally:
            response.close()

    def close(self) -> None:
        """Drop all connections."""
        self._client.close()

    def _send(self, request: httpx.Request, name: str) -> httpx.Response:
        pending = in_thread(lambda: self._client.send(request, stream=True))
        try:
            return pending.result(self._answer_seconds)
        except concurrent.futures.TimeoutError as error:
            pending.add_done_callback(_close_late)
            raise TransferError(f"{name} did not answer within {self._answer_seconds:g} s") from error
        except httpx.HTTPError as error:
            raise TransferError(f"{name}: {_words(error)}") from error


class _HttpResponse:
    """A streamed httpx response, as the seam wants it."""

    def __init__(self, response: httpx.Response, name: str) -> None:
        self._response = response
        self._name = name

    @property
    def status(self) -> int:
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    def chunks(self) -> Iterator[bytes]:
        try:
            yield from self._response.iter_raw()
        except httpx.HTTPError as error:
            raise TransferError(f"{self._name}: {_words(error)}") from error


def _close_late(pending: concurrent.futures.Future[httpx.Response]) -> None:
    """Close an answer that nobody waits for any more."""
    if pending.exception() is None:
        pending.result().close()


def _words(error: httpx.HTTPError) -> str:
    """A sentence for an httpx error; its own words never hold the address."""
    if isinstance(error, httpx.ConnectTimeout):
        return f"no connection within {CONNECT_SECONDS:g} s"
    if isinstance(error, httpx.ReadTimeout):
        return "nothing arrived for too long"
    if isinstance(error, httpx.ConnectError):
        return f"no connection ({error})"
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        return f"the connection broke ({error or type(error).__name__})"
    return f"{type(error).__name__} ({error})"
