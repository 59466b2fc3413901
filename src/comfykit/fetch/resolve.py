"""From an address to the bytes: redirects, without telling secrets to strangers.

Model hubs answer with a redirect to a signed address on another host. A source's headers stay
behind at the first hop to another origin, for good (object stores even refuse a request that carries
a foreign Authorization), and https is never left for http. The last hop is asked for the wanted
bytes at once, so that no request is made only to look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urljoin

from comfykit.fetch.answers import Identity, announced, check_status, number, read_identity, read_part
from comfykit.fetch.answers import read_total as total_of
from comfykit.fetch.line import Line
from comfykit.fetch.retry import Cause, fault
from comfykit.fetch.source import Source
from comfykit.fetch.spans import Span
from comfykit.fetch.urls import clean_url, host, origin, redact
from comfykit.fetch.wire import Answer, Wire

MAX_REDIRECTS = 20
# The end of a span that reaches to the end of a file whose size is not known yet.
WHOLE = 2**62
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Remote:
    """Where the bytes of a source are right now.

    `headers` may be secrets and are for `url` alone. `ranges` is whether parts can be asked for.
    `expires` is whether the address came from a redirect, so that it may be signed and stop working:
    then the source is resolved again.
    """

    source: Source
    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    identity: Identity
    ranges: bool
    expires: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """An answer to a request for bytes: it holds `span` of the file (its end None where unknown)."""

    remote: Remote
    answer: Answer
    start: int
    end: int | None


def resolve(wire: Wire, source: Source, line: Line | None = None) -> Remote:
    """Follow a source to where its bytes are, with a request for the first of them.

    Raises `TransferError` with the cause when there is no file to be had.
    """
    opened = reach(wire, source, Span(0, 1), line or Line())
    opened.answer.close()
    return opened.remote


def reach(wire: Wire, source: Source, span: Span, line: Line, validator: str | None = None) -> Opened:
    """Follow a source and ask for a span at the end; the answer is open and must be closed."""
    url, bound, sha256, size = source.url, True, None, None
    for _ in range(MAX_REDIRECTS + 1):
        bound = bound and (source.bound_to is None or origin(url) == source.bound_to)
        headers = source.headers_for(url) if bound else _public(source)
        answer = wire.get(url, {**headers, **_range(span, validator)}, line)
        try:
            sha, length = announced(answer.headers)
            sha256, size = sha256 or sha, size or length
            if answer.status not in _REDIRECTS:
                expires = url != source.url
                opened = _opened(source, url, headers, answer, span, expires)
                identity = replace(opened.remote.identity, sha256=sha256, announced_size=size)
                _check_sizes(url, identity)
                return replace(opened, remote=replace(opened.remote, identity=identity))
            url = _next(url, answer.headers.get("Location"))
        except BaseException:
            answer.close()
            raise
        answer.close()
    raise fault(
        Cause.ODD, f"{host(source.url)}: more than {MAX_REDIRECTS} redirects, the last to {redact(url)}"
    )


def open_span(wire: Wire, remote: Remote, span: Span, line: Line) -> Opened:
    """Ask a known address for a span; raises a fault when what comes is not that span of that object."""
    wanted = _range(span, remote.identity.validator)
    answer = wire.get(remote.url, {**remote.headers, **wanted}, line)
    try:
        if answer.status in _REDIRECTS:
            raise fault(Cause.EXPIRED, f"{host(remote.url)} redirects to another address now")
        token_from = _token_sent(remote.source, remote.headers)
        check_status(
            remote.url, answer.status, answer.headers, redirected=remote.expires, token_from=token_from
        )
        return _opened(remote.source, remote.url, remote.headers, answer, span, remote.expires)
    except BaseException:
        answer.close()
        raise


def _opened(
    source: Source, url: str, headers: dict[str, str], answer: Answer, span: Span, expires: bool
) -> Opened:
    """Judge the answer at the end of a chain."""
    check_status(url, answer.status, answer.headers, token_from=_token_sent(source, headers))
    fields = answer.headers
    if answer.status == 206:
        part, total = read_part(url, span, fields)
        remote = Remote(source, url, headers, read_identity(fields, total), True, expires)
        return Opened(remote, answer, part.start, part.end)
    if answer.status == 416:
        # The span lies after the end: the object is shorter than it was, or empty.
        total_now = total_of(fields)
        if total_now == 0:
            raise fault(Cause.WRONG, f"what {host(url)} sent is not the file: it is empty", total=0)
        raise fault(
            Cause.CHANGED if span.start else Cause.ODD,
            f"{host(url)} has no bytes from {span.start} on"
            + (f": the file has {total_now}" if total_now is not None else ""),
            total=total_now,
        )
    length = number(fields.get("Content-Length"))
    if length is None and "Content-Length" in fields:
        raise fault(Cause.ODD, f"{host(url)} announces a Content-Length of {fields['Content-Length'][:40]!r}")
    remote = Remote(source, url, headers, read_identity(fields, length), False, expires)
    return Opened(remote, answer, 0, length)


def _range(span: Span, validator: str | None) -> dict[str, str]:
    fields = {"Range": f"bytes={span.start}-{span.end - 1 if span.end < WHOLE else ''}"}
    return {**fields, "If-Range": validator} if validator else fields


def _token_sent(source: Source, headers: Mapping[str, str]) -> str | None:
    """Where the token among the headers of a request was found; None where it had none."""
    return source.token_from if any(name.lower() == "authorization" for name in headers) else None


def _public(source: Source) -> dict[str, str]:
    return {"User-Agent": source.user_agent} if source.user_agent else {}


def _check_sizes(url: str, identity: Identity) -> None:
    told = identity.announced_size
    if told is not None and identity.size is not None and told != identity.size:
        raise fault(
            Cause.WRONG, f"{host(url)} has a file of {identity.size} bytes, and the hub announced {told}"
        )


def _next(url: str, location: str | None) -> str:
    """The address that a redirect leads to."""
    if not location:
        raise fault(Cause.ODD, f"{host(url)} redirects to nowhere")
    try:
        target = clean_url(urljoin(url, location).partition("#")[0])
    except ValueError as error:
        raise fault(
            Cause.ODD, f"{host(url)} redirects to an address that is not followed: {error}"
        ) from error
    if origin(url)[0] == "https" and origin(target)[0] == "http":
        raise fault(
            Cause.ODD, f"{host(url)} redirects from https to http ({host(target)}); that is not followed"
        )
    return target
