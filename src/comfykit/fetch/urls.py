"""Addresses: which ones are accepted, how they are shown, and the file name in one.

An address is checked here by a grammar so narrow that no two URL parsers can disagree about its
host: ASCII, no userinfo, no backslash, a plain host name or a bracketed IPv6 address.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<rest>/[^\s\\#]*)?",
    re.IGNORECASE,
)
_MAX_LENGTH = 8192
_DEFAULT_PORTS = {"http": 80, "https": 443}

# Query values that are never secrets and tell one address from another; all others are hidden.
_SHOWN_QUERY = frozenset({"download", "filepath", "fileid", "format", "fp", "revision", "size", "type"})


def clean_url(text: str) -> str:
    """The address as it will be requested; raises `ValueError` with a sentence when it cannot be."""
    if len(text) > _MAX_LENGTH:
        raise ValueError(f"an address of {len(text)} characters; the longest is {_MAX_LENGTH}")
    if "#" in text:
        raise ValueError(
            f"{redact(text)!r} holds a '#': it starts a comment only in the first column "
            "(in a file name it is written %23)"
        )
    if re.search(r"\s", text):
        raise ValueError(f"a space in the address {redact(text)!r}: mirrors are separated by a TAB")
    if not text.isprintable() or "\\" in text:
        raise ValueError(f"{redact(text)!r} holds a control character or a backslash")
    scheme, separator, _ = text.partition("://")
    if not separator or scheme.lower() not in _DEFAULT_PORTS:
        raise ValueError(f"{redact(text)!r} is no http:// or https:// address")
    authority = text[len(scheme) + 3 :].partition("/")[0].partition("?")[0]
    if "@" in authority:
        raise ValueError("an address with a user name or password in it; give them as a header= option")
    ascii_text = quote(text, safe="!#$%&'()*+,/:;=?@[]~")
    match = _ADDRESS.fullmatch(ascii_text)
    if match is None or int(match["port"] or 1) not in range(1, 65536):
        raise ValueError(f"{redact(text)!r} is not an address that can be requested")
    return ascii_text


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an address: credentials are bound to all three."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS.get(scheme, 0)


def host(url: str) -> str:
    """Host of an address, with its port where it is not the usual one."""
    scheme, name, port = origin(url)
    return name if port == _DEFAULT_PORTS.get(scheme) else f"{name}:{port}"


def is_loopback(url: str) -> bool:
    """Whether an address names this machine."""
    return origin(url)[1] in ("localhost", "127.0.0.1", "::1")


def redact(url: str) -> str:
    """An address that may be shown: no userinfo, and of the query only values that are no secrets."""
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets that are no IPv6 address
        return url.partition("?")[0].rpartition("@")[2]
    query = [
        (name, value if name.lower() in _SHOWN_QUERY else "***")
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    shown = urlencode(query, safe="*/")
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, shown, ""))


def file_name(url: str) -> str | None:
    """The file name that ends an address's path, decoded; None where it names no file with a suffix.

    The name is not safe yet: `comfykit.fetch.paths` decides that.
    """
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    stem, dot, suffix = name.rpartition(".")
    return name if stem and dot and suffix else None
