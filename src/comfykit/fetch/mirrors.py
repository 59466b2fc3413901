"""The sources of a file in the order to try: addresses, rules, tokens and history joined.

An address is replaced by the first rule with `instead` that fits it; then no other rule is asked about
it. A mirror is a stranger: it gets no header of a manifest, no token (unless comfykit.toml names its
host) and no secret of an address's query.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from comfykit.fetch.entry import ManifestEntry
from comfykit.fetch.history import History
from comfykit.fetch.hubs.civitai import Civitai
from comfykit.fetch.mirror_rules import VARIABLE, Mirror, read_mirrors, read_rules
from comfykit.fetch.options import is_secret_header
from comfykit.fetch.source import Source
from comfykit.fetch.tokens import Tokens
from comfykit.fetch.urls import host, is_loopback, origin

__all__ = ["VARIABLE", "Mirror", "candidates", "read_mirrors", "read_rules", "rewrite", "sources_for"]

# Names of query values that are secrets, besides those of signed addresses (X-Amz-..., X-Goog-...).
SECRET_QUERY = frozenset(
    {"access_token", "api_key", "apikey", "auth", "key", "password", "secret", "sig", "signature", "token"}
)
_SIGNED = ("x-amz-", "x-goog-")
_NO_TOKENS = Tokens()


def sources_for(
    entry: ManifestEntry,
    rules: Sequence[Mirror] = (),
    tokens: Tokens = _NO_TOKENS,
    history: History | None = None,
) -> list[Source]:
    """Every source of an entry, the most promising first.

    Without a history the order is that of the manifest, then of the rules. The manifest's headers go to
    the origin of its first address; an `Authorization` among them is preferred to a token.
    """
    urls = candidates(entry.urls, rules, checksum=entry.sha256 is not None)
    if history is not None:
        urls = history.order(urls, lambda url: url)
    return [_source(url, entry, tokens) for url in urls]


def rewrite(url: str, mirrors: Sequence[Mirror]) -> str:
    """The address to ask instead of `url`: by the first such rule that fits, or `url` itself."""
    return _replaced(url, mirrors) or url


def candidates(urls: Iterable[str], mirrors: Sequence[Mirror], *, checksum: bool) -> list[str]:
    """Every address that a file can be had from: the given ones, or what replaces them, then mirrors.

    `checksum` says whether the bytes will be compared with a known checksum.
    """
    found: dict[str, None] = {}
    kept = []
    for url in urls:
        replaced = _replaced(url, mirrors)
        found.setdefault(replaced or url)
        if replaced is None:
            kept.append(url)
    for url in kept:
        for mirror in mirrors:
            if mirror.instead or (mirror.needs_checksum and not checksum):
                continue
            other = mirror.apply(url)
            if other is not None:
                found.setdefault(without_secrets(other))
    return list(found)


def _replaced(url: str, mirrors: Sequence[Mirror]) -> str | None:
    """What the first rule with `instead` makes of an address; the address itself may be the answer."""
    for mirror in mirrors:
        found = mirror.apply(url) if mirror.instead else None
        if found is not None:
            return found if found == url else without_secrets(found)
    return None


def without_secrets(url: str) -> str:
    """An address without the query values that are secrets: they are for the host they were written for."""
    split = urlsplit(url)
    pairs = parse_qsl(split.query, keep_blank_values=True)
    shown = [pair for pair in pairs if not is_secret(pair[0])]
    return url if shown == pairs else urlunsplit(split._replace(query=urlencode(shown)))


def is_secret(name: str) -> bool:
    """Whether the query value of this name is a secret."""
    return name.lower() in SECRET_QUERY or name.lower().startswith(_SIGNED)


def _source(url: str, entry: ManifestEntry, tokens: Tokens) -> Source:
    headers = entry.headers if origin(url) == origin(entry.urls[0]) else ()
    if origin(url)[0] != "https" and not is_loopback(url):
        headers = tuple(header for header in headers if not is_secret_header(header[0]))
    url, token = _token_of_query(url)
    token_from = "the manifest" if any(name.lower() == "authorization" for name, _ in headers) else None
    if token_from is None and token:
        headers, token_from = (*headers, ("Authorization", f"Bearer {token}")), "the address"
    elif token_from is None:
        headers, found = (*headers, *tokens.headers(url)), tokens.for_url(url)
        token_from = found.said_by if found else None
    return Source(url, headers, origin(url), entry.user_agent, host(url), token_from)


def _token_of_query(url: str) -> tuple[str, str | None]:
    """Civitai takes `?token=` or a header; the header stays out of logs, journals and process lists."""
    split = urlsplit(url)
    if split.scheme != "https" or (split.hostname or "").lower() not in Civitai.hosts:
        return url, None
    pairs = parse_qsl(split.query, keep_blank_values=True)
    token = next((value for name, value in pairs if name == "token" and value), None)
    if token is None:
        return url, None
    return urlunsplit(split._replace(query=urlencode([pair for pair in pairs if pair[0] != "token"]))), token
