"""Rewriting addresses: fetch what a manifest names from somewhere else.

`COMFYKIT_MIRRORS` holds rules `FROM=TO`, white space between them; the first whose FROM starts an
address replaces that start by TO. Both end in `/`, so that `https://huggingface.co/` never matches
`https://huggingface.co.example/`. The headers of a manifest do not go to a rewritten address: they
were written for another origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from comfykit.errors import UsageError
from comfykit.fetch.urls import clean_url

VARIABLE = "COMFYKIT_MIRRORS"


@dataclass(frozen=True, slots=True)
class Mirror:
    """One rule: addresses that start with `start` are asked for at `instead`."""

    start: str
    instead: str


def read_mirrors(text: str) -> tuple[Mirror, ...]:
    """Rules of `FROM=TO ...`; raises `UsageError` for one that cannot be used."""
    return tuple(_rule(word) for word in text.split())


def rewrite(url: str, mirrors: Sequence[Mirror]) -> str:
    """The address to ask instead of `url`: by the first rule that fits, or `url` itself."""
    for mirror in mirrors:
        if url.startswith(mirror.start):
            return mirror.instead + url[len(mirror.start) :]
    return url


def _rule(word: str) -> Mirror:
    start, equals, instead = word.partition("=")
    if not (equals and start.endswith("/") and instead.endswith("/")):
        raise UsageError(
            f"{VARIABLE}: {word!r} is no rule",
            hint="a rule is FROM=TO, both ending in '/': https://huggingface.co/=https://hf-mirror.com/",
        )
    try:
        return Mirror(clean_url(start), clean_url(instead))
    except ValueError as error:
        raise UsageError(f"{VARIABLE}: {error}") from error
