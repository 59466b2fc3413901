"""How our aria2c is set up: its options and its environment."""

from __future__ import annotations

import os

from comfykit.fetch.limits import Limits

MAX_CONNECTIONS = 16  # aria2 refuses more to one server

_KEPT = ("PATH", "TMPDIR")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def options(limits: Limits, port: int, secret: str) -> dict[str, str]:
    """Options of the process; names and meanings are those of aria2's manual."""
    connections = str(max(1, min(limits.connections, MAX_CONNECTIONS)))
    chosen = {
        "enable-rpc": "true",
        "rpc-listen-port": str(port),
        "rpc-listen-all": "false",
        "rpc-secret": secret,
        "stop-with-process": str(os.getpid()),
        "no-netrc": "true",
        # What comes is a file, whatever the server calls it.
        "follow-torrent": "false",
        "follow-metalink": "false",
        "enable-dht": "false",
        # A file without a control file is one that we have emptied.
        "allow-overwrite": "true",
        "auto-file-renaming": "false",
        "file-allocation": "none",
        "auto-save-interval": "1",
        # Where a server cannot go on: give up, and let us decide.
        "always-resume": "true",
        "max-tries": "2",
        "retry-wait": "1",
        "max-concurrent-downloads": "1000",  # how many files at once is decided above
        "max-connection-per-server": connections,
        "split": connections,
        "min-split-size": "1M",
        "connect-timeout": _seconds(limits.connect_seconds),
        "timeout": _seconds(limits.silence_seconds),
        "lowest-speed-limit": str(int(limits.slow_rate)),
        "quiet": "true",
        "summary-interval": "0",
    }
    if limits.max_rate:
        chosen["max-overall-download-limit"] = str(max(1, int(limits.max_rate)))
    if certificates := os.environ.get("SSL_CERT_FILE"):
        chosen["ca-certificate"] = certificates
    return chosen


def environment() -> dict[str, str]:
    """What aria2 may see of our environment: no tokens. It reads proxies in small letters alone.

    Its messages are read by `aria2_errors`, so they are in English.
    """
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ} | {"LC_ALL": "C"}
    for name in _PROXIES:
        if value := os.environ.get(name) or os.environ.get(name.upper()):
            kept[name] = value
    return kept


def _seconds(value: float) -> str:
    """aria2 takes whole seconds from 1 to 600."""
    return str(max(1, min(600, round(value))))
