"""Requests through a proxy: httpx makes them, everything else is as in `wire`.

`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` are read as curl and Python read them.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING
from urllib.request import getproxies, proxy_bypass

from comfykit.fetch.connections import tls_context
from comfykit.fetch.headers import Headers
from comfykit.fetch.limits import Limits
from comfykit.fetch.line import Line, Phase
from comfykit.fetch.retry import Cause, fault
from comfykit.fetch.source import Origin
from comfykit.fetch.threads import in_thread
from comfykit.fetch.urls import host, origin
from comfykit.fetch.wire import USER_AGENT, Answer, SocketWire, Wire

if TYPE_CHECKING:
    import httpx

_POLL_SECONDS = 0.1


def open_wire(limits: Limits) -> Wire:
    """The way to all servers: direct, or through the proxies of the environment."""
    proxies = getproxies()
    if not any(scheme in proxies for scheme in ("http", "https", "all")):
        return SocketWire(limits)
    return ProxiedWire(limits, proxies)


class ProxiedWire:
    """Asks through a proxy where one is set for an address, directly where `NO_PROXY` names its host."""

    def __init__(self, limits: Limits, proxies: Mapping[str, str]) -> None:
        self._limits, self._proxies = limits, proxies
        self._direct = SocketWire(limits)
        self._clients: dict[str, httpx.Client] = {}

    def get(self, url: str, headers: Mapping[str, str], line: Line) -> Answer:
        """As `Wire.get`."""
        proxy = self._proxy_for(origin(url))
        if proxy is None:
            return self._direct.get(url, headers, line)
        import httpx

        fields = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity", **headers}
        line.enter(Phase.ASKING, host(url))
        try:
            client = self._client(proxy)
            request = client.build_request("GET", url, headers=fields)
            pending = in_thread(lambda: client.send(request, stream=True))
            response = _wait(pending, line)
        except (httpx.HTTPError, httpx.InvalidURL, ImportError) as error:
            raise fault(Cause.UNREACHABLE, f"{host(url)}: no connection through the proxy ({_words(error)})",
                        "look at HTTPS_PROXY and NO_PROXY") from error  # fmt: skip
        line.enter(Phase.READING)
        return _ProxiedAnswer(response, url, line)

    def close(self) -> None:
        """As `Wire.close`."""
        self._direct.close()
        for client in self._clients.values():
            client.close()

    def _proxy_for(self, key: Origin) -> str | None:
        scheme, name, port = key
        if proxy_bypass(name) or proxy_bypass(f"{name}:{port}"):
            return None
        return self._proxies.get(scheme) or self._proxies.get("all")

    def _client(self, proxy: str) -> httpx.Client:
        import httpx

        address = proxy if "://" in proxy else f"http://{proxy}"
        if address not in self._clients:
            self._clients[address] = httpx.Client(
                proxy=address,
                verify=tls_context(),
                trust_env=False,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                follow_redirects=False,
                timeout=httpx.Timeout(
                    self._limits.silence_seconds, connect=self._limits.connect_seconds, pool=None
                ),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
            )
        return self._clients[address]


class _ProxiedAnswer:
    """A streamed httpx response, read in its own chunks."""

    def __init__(self, response: httpx.Response, url: str, line: Line) -> None:
        self._response, self._url, self._line = response, url, line
        self._chunks: Iterator[bytes] = response.iter_raw()
        self._rest = b""
        self.status = response.status_code
        self.headers = Headers(response.headers.multi_items())

    def readinto(self, view: memoryview) -> int:
        """As `Answer.readinto`."""
        import httpx

        self._line.check()
        try:
            data = self._rest or next(self._chunks, b"")
        except httpx.HTTPError as error:
            self._line.check()
            raise fault(Cause.BROKEN, f"{host(self._url)}: the connection broke ({_words(error)})") from error
        count = min(len(data), len(view))
        view[:count] = data[:count]
        self._rest = data[count:]
        self._line.arrived(count)
        return count

    def close(self) -> None:
        """As `Answer.close`."""
        self._line.let_go()
        self._response.close()


def _wait(pending: concurrent.futures.Future[httpx.Response], line: Line) -> httpx.Response:
    """The answer, or what the line was ended with meanwhile."""
    while True:
        try:
            return pending.result(_POLL_SECONDS)
        except concurrent.futures.TimeoutError:
            try:
                line.check()
            except BaseException:
                pending.add_done_callback(_close_late)
                raise


def _close_late(pending: concurrent.futures.Future[httpx.Response]) -> None:
    """Close an answer that nobody waits for any more."""
    if pending.exception() is None:
        pending.result().close()


def _words(error: Exception) -> str:
    """A sentence for an httpx error, without the credentials that a proxy's address may hold."""
    text = str(error) or type(error).__name__
    return text if "@" not in text and "://" not in text else type(error).__name__
