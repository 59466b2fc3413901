"""What is known of the sites that models come from: addresses, refusals, announced hashes.

    base          what every hub answers
    huggingface, civitai, github, modelscope
    asking        questions to a hub's interface, over a client that is passed in

`address` turns what people copy (a page, `hf://OWNER/REPO/PATH@REVISION`, `civitai:MODEL@VERSION`) into
the address of the bytes. Nothing here makes a request of its own.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from comfykit.errors import TransferError
from comfykit.fetch import urls
from comfykit.fetch.hubs import modelscope
from comfykit.fetch.hubs.base import Announced, Ask, Hub, Refusal
from comfykit.fetch.hubs.civitai import Civitai, pin, unpinned
from comfykit.fetch.hubs.github import GitHub
from comfykit.fetch.hubs.huggingface import HuggingFace
from comfykit.fetch.hubs.modelscope import ModelScope

__all__ = [
    "HUBS",
    "Announced",
    "Ask",
    "Refusal",
    "address",
    "announced",
    "can_announce",
    "file_name",
    "hint",
    "hub_of",
    "is_pinned",
    "pinned",
]

HUBS: tuple[Hub, ...] = (HuggingFace(), Civitai(), GitHub(), ModelScope())


def address(text: str) -> str:
    """The address of the file that a short form or a page of a hub means; other addresses as they are.

    Raises `ValueError` with a sentence for a page that names no file.
    """
    for hub in HUBS:
        found = hub.address(text)
        if found is not None:
            return found
    return text


def hub_of(url: str) -> Hub | None:
    """The hub that an address is of."""
    host = (urlsplit(url).hostname or "").lower()
    return next((hub for hub in HUBS if host in hub.hosts), None)


def hint(refusal: Refusal) -> str | None:
    """What a person can do about a refusal: which token is missing, where terms are accepted.

    Of these hubs only Civitai sends people to a page to log in; a page from another is no refusal.
    """
    hub = hub_of(refusal.url)
    if hub is None or (refusal.status == 200 and not isinstance(hub, Civitai)):
        return None
    return hub.hint(refusal)


def file_name(url: str) -> str | None:
    """The file name that an address gives; None where it names no file with a suffix."""
    path = modelscope.file_path(url)
    return urls.file_name(f"https://host/{quote(path)}" if path else url)


def is_pinned(url: str) -> bool:
    """Whether an address always means the same version of a model; the page of a model does not."""
    return not unpinned(url)


def pinned(url: str, ask: Ask) -> str:
    """The address of the bytes, where `url` is the page of a model; the newest version is taken."""
    return pin(url, ask) if unpinned(url) else url


def can_announce(url: str) -> bool:
    """Whether a hub's interface may know the size and hash of the file at an address."""
    hub = hub_of(url)
    return hub is not None and hub.question(url) is not None


def announced(url: str, ask: Ask) -> Announced | None:
    """What the hub's interface says of a file; None where it says nothing, or does not answer.

    What is not known can still be fetched, so that an interface that is down stops nothing.
    """
    hub = hub_of(url)
    question = hub.question(url) if hub else None
    if hub is None or question is None:
        return None
    try:
        return hub.answer(url, ask(question))
    except TransferError:
        return None
