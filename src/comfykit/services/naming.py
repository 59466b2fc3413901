"""Names for addresses that have none: those of Civitai, which only its interface knows."""

from __future__ import annotations

from comfykit.errors import UsageError
from comfykit.fetch import hubs
from comfykit.fetch.addresses import read_address
from comfykit.fetch.guide import Guide, named


def name_of(text: str, guide: Guide) -> tuple[str, str | None]:
    """The address that a person wrote, and the name of its file; None where nobody says one.

    The hub is asked only where the address does not tell. Raises `UsageError` for what is no address and
    `TransferError` where a model's version is not to be found out.
    """
    try:
        url = read_address(text)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if hubs.is_pinned(url) and hubs.file_name(url) is not None:
        return url, hubs.file_name(url)
    if not hubs.is_pinned(url) or hubs.can_announce(url):
        from comfykit.fetch.hubs.asking import asking

        with asking(guide.tokens) as ask:
            return named(url, ask)
    return url, None
