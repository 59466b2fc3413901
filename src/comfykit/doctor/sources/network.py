"""Whether the hubs and package indexes answer, through which proxies, and whether the clock is right."""

from __future__ import annotations

import email.utils
import functools
import os
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from comfykit.doctor.sources.limited import look_at

SECONDS = 2.5
PLACES: Mapping[str, str] = {
    "huggingface.co": "https://huggingface.co/robots.txt",
    "civitai.com": "https://civitai.com/robots.txt",
    "github.com": "https://github.com/robots.txt",
    "pypi.org": "https://pypi.org/simple/pip/",
    "download.pytorch.org": "https://download.pytorch.org/whl/",
}

MIRRORS = (
    "HF_ENDPOINT",
    "GITHUB_ENDPOINT",
    "COMFYKIT_MIRRORS",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "PIP_INDEX_URL",
)
PORTS = (8188, 6800)  # those of ComfyUI and of aria2
_PORT_SECONDS = 0.2
_RELEASED = 1_767_225_600.0  # 1 January 2026: no clock that is right shows less


@dataclass(frozen=True, slots=True)
class Network:
    """What the network said: for each host None where it answered, else why not.

    `proxies` are the schemes that a proxy is set for, never its address, `socks` whether one speaks SOCKS.
    `mirrors` are the variables that name another place for models or packages. `taken` are ports of
    well-known programs that somebody listens on. `clock` is how many seconds this
    machine's clock is ahead of the servers', None where nobody said.
    """

    hosts: Mapping[str, str | None] = field(default_factory=dict)
    proxies: tuple[str, ...] = ()
    clock: float | None = None
    socks: bool = False
    mirrors: tuple[str, ...] = ()
    taken: tuple[int, ...] = ()


def look_around() -> Network:
    """What is known of the network without asking anybody beyond this machine."""
    behind = time.time() - _RELEASED
    return Network(
        proxies=proxies(),
        clock=behind if behind < 0 else None,
        socks=any(address.startswith("socks") for address in urllib.request.getproxies().values()),
        mirrors=tuple(name for name in MIRRORS if os.environ.get(name)),
        taken=tuple(port for port in PORTS if _is_taken(port)),
    )


def look(places: Mapping[str, str] = PLACES, seconds: float = SECONDS) -> Network:
    """Ask every place at once for its first bytes."""
    around = look_around()
    asked = {host: functools.partial(_ask, url, seconds) for host, url in places.items()}
    looked = look_at(asked, dict.fromkeys(asked, seconds))
    answers: dict[str, str | float | None] = dict(looked.values)
    hosts = {host: answer if isinstance(answer, str) else None for host, answer in answers.items()}
    hosts |= dict.fromkeys(looked.late, f"gave no answer in {seconds:g} s")
    ahead = [answer for answer in answers.values() if isinstance(answer, float)]
    return replace(
        around, hosts=dict(sorted(hosts.items())), clock=min(ahead, key=abs) if ahead else around.clock
    )


def proxies() -> tuple[str, ...]:
    """The schemes that a proxy is set for."""
    return tuple(sorted(scheme for scheme in urllib.request.getproxies() if scheme != "no"))


def _is_taken(port: int) -> bool:
    """Whether somebody on this machine listens on a port."""
    with socket.socket() as asked:
        asked.settimeout(_PORT_SECONDS)
        return asked.connect_ex(("127.0.0.1", port)) == 0


def endpoints() -> dict[str, str]:
    """The places to ask here: a mirror of Hugging Face is asked instead of it."""
    found = dict(PLACES)
    mirror = os.environ.get("HF_ENDPOINT")
    if mirror and (host := urlsplit(mirror).hostname):
        del found["huggingface.co"]
        found[host] = mirror
    return found


def _ask(url: str, seconds: float) -> str | float | None:
    """Seconds that our clock is ahead of a server that answers; else why it does not."""
    request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "comfykit"})
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            date = answer.headers.get("Date")
    except urllib.error.HTTPError as error:  # it answered, which is all that was asked
        date = error.headers.get("Date")
    except urllib.error.URLError as error:
        reason = error.reason
        if isinstance(reason, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({reason.verify_message})"
        return str(reason.strerror if isinstance(reason, OSError) and reason.strerror else reason)
    except (OSError, ValueError) as error:
        return str(error) or type(error).__name__
    try:
        return time.time() - email.utils.parsedate_to_datetime(date).timestamp() if date else None
    except (TypeError, ValueError):
        return None
