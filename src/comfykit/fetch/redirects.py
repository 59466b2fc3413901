"""Following redirects without telling secrets to strangers.

Model hubs answer with a redirect to a signed address on another host. The headers of a manifest stay
behind at the first hop to another origin (object stores even refuse a request that carries a foreign
Authorization), and https is never left for http.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urljoin

from comfykit.errors import TransferError
from comfykit.fetch.transport import Response, Transport
from comfykit.fetch.urls import clean_url, host, origin, redact

MAX_REDIRECTS = 20
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SHA256 = re.compile(r'"?([0-9a-f]{64})"?')


@dataclass(frozen=True, slots=True)
class Source:
    """An address to ask, the headers for it, and the only origin that may see those headers."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    bound_to: tuple[str, str, int] | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The response at the end of a chain of redirects.

    `sha256` and `size` are what a hop announced of the file: Hugging Face does so in the redirect
    itself (`X-Linked-ETag`, `X-Linked-Size`), while the signed address behind it has an ETag of its own.
    """

    response: Response
    url: str
    sha256: str | None
    size: int | None


@contextmanager
def follow(transport: Transport, source: Source) -> Iterator[Answer]:
    """The final answer for a source; raises `TransferError` for anything but a 200 at the end."""
    url, bound, sha256, size = source.url, True, None, None
    for _ in range(MAX_REDIRECTS + 1):
        bound = bound and origin(url) == source.bound_to
        with ExitStack() as stack:
            response = stack.enter_context(transport.get(url, _headers(source, bound)))
            sha256 = sha256 or _announced_sha256(response.headers)
            size = size or _number(response.headers.get("X-Linked-Size"))
            if response.status not in _REDIRECTS:
                _check(response, url)
                yield Answer(response, url, sha256, size)
                return
            url = _next(url, response.headers.get("Location"))
    raise TransferError(f"{host(source.url)}: more than {MAX_REDIRECTS} redirects, the last to {redact(url)}")


def _headers(source: Source, bound: bool) -> Mapping[str, str]:
    fields: dict[str, str] = {}
    if source.user_agent:
        fields["User-Agent"] = source.user_agent
    for name, value in source.headers if bound else ():
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def _next(url: str, location: str | None) -> str:
    """The address that a redirect leads to."""
    if not location:
        raise TransferError(f"{host(url)} redirects to nowhere")
    try:
        target = clean_url(urljoin(url, location).partition("#")[0])
    except ValueError as error:
        raise TransferError(f"{host(url)} redirects to an address that is not followed: {error}") from error
    if origin(url)[0] == "https" and origin(target)[0] == "http":
        raise TransferError(
            f"{host(url)} redirects from https to http ({host(target)}); that is not followed"
        )
    return target


def _check(response: Response, url: str) -> None:
    """Raise for an answer that is not the plain file."""
    name, status = host(url), response.status
    if status in (401, 403):
        raise TransferError(
            f"{name} answered {status}: it wants a login, or the address has expired",
            hint="give a token as 'header=Authorization: Bearer TOKEN' below the address, "
            "and accept the model's terms on its page if it has any",
            status=status,
        )
    if status in (404, 410):
        raise TransferError(f"{name} answered {status}: there is no such file", status=status)
    if status != 200:
        raise TransferError(f"{name} answered {status} instead of the file", status=status)
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise TransferError(f"{name} sent the file coded as {coding}, which it was asked not to")


def _announced_sha256(headers: Mapping[str, str]) -> str | None:
    match = _SHA256.fullmatch(headers.get("X-Linked-ETag", "").strip())
    return match[1] if match else None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None
