"""The options that may stand below an address, and what comfykit makes of each.

Names and meanings are those of aria2's manual ("Input File"). A list of models comes from a stranger:
options that run, read or write something else are refused by name, also where aria2 would refuse
them itself.
"""

from __future__ import annotations

import difflib
import re

USED = frozenset({"dir", "out", "checksum", "header", "referer", "user-agent"})
REPEATABLE = frozenset({"header"})

# They steer how aria2 fetches, not what: another tool may use them, comfykit does not need to.
# fmt: off
UNUSED = frozenset(
    {
        "allow-overwrite", "allow-piece-length-change", "always-resume", "async-dns", "auto-file-renaming",
        "check-integrity", "conditional-get", "connect-timeout", "content-disposition-default-utf8",
        "continue", "enable-http-keep-alive", "enable-http-pipelining", "file-allocation", "force-save",
        "gid", "http-accept-gzip", "http-no-cache", "lowest-speed-limit", "max-connection-per-server",
        "max-download-limit", "max-file-not-found", "max-mmap-limit", "max-resume-failure-tries",
        "max-tries", "min-split-size", "no-file-allocation-limit", "no-proxy",
        "pause", "piece-length", "realtime-chunk-checksum", "remote-time", "remove-control-file",
        "retry-wait", "reuse-uri", "save-not-found", "split", "stream-piece-selector", "timeout",
        "uri-selector", "use-head",
    }
)
# fmt: on

_REFUSED = (
    (re.compile(r"^on-|-hook$|-command$"), "runs a command"),
    (
        re.compile(r"cookies|^netrc|certificate|private-key|^conf-path|^input-file|session|^log$|-file$"),
        "reads or writes another file",
    ),
    (re.compile(r"passwd|-user$|secret"), "holds a password (a token goes into header=)"),
    (re.compile(r"proxy"), "sends the transfer through somebody's proxy (set HTTPS_PROXY instead)"),
    (re.compile(r"^rpc-|^daemon|^enable-rpc"), "steers the aria2 process"),
    (
        re.compile(r"^bt-|torrent|metalink|^ftp-|^ssh-|^seed|^dht|^index-out|^select-file"),
        "is not about http",
    ),
    (
        re.compile(r"^parameterized-uri$|^dry-run$|^hash-check-only$|^force-sequential$"),
        "changes what is fetched, and comfykit does not do that",
    ),
)

# Headers that describe the exchange itself; a manifest that sets them breaks it.
# fmt: off
_OWN_HEADERS = frozenset(
    {
        "accept-encoding", "connection", "content-length", "expect", "host", "if-match", "if-none-match",
        "if-range", "keep-alive", "proxy-authorization", "range", "te", "trailer", "transfer-encoding",
        "upgrade",
    }
)
# fmt: on
_SECRET_HEADER = re.compile(r"auth|cookie|key|secret|session|token", re.IGNORECASE)
_HEADER = re.compile(r"(?P<name>[A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*:\s*(?P<value>[\x20-\x7e\t]*)")
_CHECKSUM = re.compile(r"(?P<kind>[a-z0-9-]+)=(?P<digest>[0-9a-fA-F]*)")


def why_refused(name: str) -> str | None:
    """Why an option cannot stand in a manifest, as the rest of a sentence; None when it can."""
    if name in USED or name in UNUSED:
        return None
    for pattern, reason in _REFUSED:
        if pattern.search(name):
            return f"is refused: it {reason}"
    near = difflib.get_close_matches(name, sorted(USED | UNUSED), n=1, cutoff=0.7)
    return "is not known" + (f"; did you mean {near[0]}=?" if near else "")


def read_checksum(value: str) -> str:
    """The SHA-256 of `sha-256=HEX` in lower case; raises `ValueError` with a sentence."""
    match = _CHECKSUM.fullmatch(value)
    if match is None:
        raise ValueError("a checksum is written checksum=sha-256=HEX")
    if match["kind"] != "sha-256":
        raise ValueError(f"a checksum of kind {match['kind']}; only sha-256 is used")
    if len(match["digest"]) != 64:
        raise ValueError(f"a sha-256 of {len(match['digest'])} hexadecimal digits; it has 64")
    return match["digest"].lower()


def read_header(value: str) -> tuple[str, str]:
    """Name and value of `header=Name: value`; raises `ValueError` with a sentence, without the value."""
    match = _HEADER.fullmatch(value)
    if match is None:
        raise ValueError("a header is written header=Name: value, in ASCII")
    if match["name"].lower() in _OWN_HEADERS:
        raise ValueError(f"the header {match['name']} belongs to the transfer and cannot be set")
    return match["name"], match["value"].strip()


def is_secret_header(name: str) -> bool:
    """Whether a header of this name carries a secret, which must not go where others can read it."""
    return _SECRET_HEADER.search(name) is not None
