"""Whether bytes that are there from before may be gone on from."""

from __future__ import annotations

import os

from comfykit.fetch.answers import Identity, same_object
from comfykit.fetch.journal import Origin, Record
from comfykit.fetch.partial import Partial
from comfykit.fetch.resolve import Remote
from comfykit.fetch.source import Expected


def read_usable(partial: Partial, expected: Expected) -> Record | None:
    """What the journal of a partial file says; None without one.

    Raises `ValueError` with a sentence for a journal that the file or the manifest contradicts.
    """
    try:
        record = partial.journal.read()
    except ValueError as error:
        raise ValueError(f"the journal cannot be used ({error})") from error
    if record is None:
        return None
    if os.fstat(partial.fileno).st_size < record.done.end:
        raise ValueError("the partial file is shorter than its journal says")
    if expected.sha256 and record.origin.sha256 not in (None, expected.sha256):
        raise ValueError("what is there is of another file than the manifest wants now")
    if expected.size is not None and record.origin.size != expected.size:
        raise ValueError("what is there is of a file of another size")
    return record


def why_not(origin: Origin | None, remote: Remote, expected: Expected) -> str | None:
    """Why the bytes that are there cannot be gone on from with a source; None when they can."""
    if origin is None:
        return "nobody knows what is there"
    another = _why_another(origin, remote, decided=expected.sha256 is not None)
    if another is None and not remote.ranges:
        return f"{remote.source.title} cannot send parts of it"
    return another


def _why_another(origin: Origin, remote: Remote, *, decided: bool) -> str | None:
    """Why a source may have another object than the one that bytes are there of; a checksum decides later."""
    identity, title = remote.identity, remote.source.title
    if identity.size is not None and identity.size != origin.size:
        return f"the file has {identity.size} bytes now, and had {origin.size}"
    if identity.sha256 and origin.sha256:
        return None if identity.sha256 == origin.sha256 else "the hub announces other bytes now"
    decided = decided and origin.sha256 is not None
    if origin.url != remote.source.shown:
        return None if decided else f"what is there came from {origin.url}, and no checksum would decide"
    before = Identity(etag=origin.etag, modified=origin.modified)
    same = same_object(before, Identity(etag=identity.etag, modified=identity.modified))
    if same is False:
        return "the file on the server has changed"
    return None if same or decided else f"{title} does not tell whether it is still the same file"
