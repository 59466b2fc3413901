"""Addresses as a manifest spells them: plain ones, pages of hubs and their short forms."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from comfykit.fetch import hubs
from comfykit.fetch.urls import clean_url, is_loopback

# A comment that switches an address off.
COMMENTED = re.compile(r"#+\s*(?:https?://|hf://|urn:air:|civitai:\d)", re.IGNORECASE)
# What starts an address where an option should stand.
START = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|(?:urn:air|civitai):", re.IGNORECASE)

_TOKENS = frozenset({"access_token", "api_key", "apikey", "token"})


def read_address(text: str) -> str:
    """The address of the bytes; raises `ValueError` with a sentence for what is none.

    Short forms are `hf://OWNER/REPO/PATH@REVISION` and `civitai:MODEL@VERSION`.
    """
    if text.lower().startswith(("http://", "https://")) or re.search(r"\s", text):
        text = clean_url(text)
    url = clean_url(hubs.address(text))
    if not url.startswith("https:") and not is_loopback(url) and _TOKENS & _query_names(url):
        raise ValueError("a token in an http address can be read by others on its way; write https")
    return url


def _query_names(url: str) -> set[str]:
    return {name.lower() for name, _ in parse_qsl(urlsplit(url).query)}


def address_hint(text: str) -> str | None:
    """What to do about a line in the first column that is no address."""
    if "://" not in text and "=" in text:
        return "options are indented by a space or a TAB"
    return None
