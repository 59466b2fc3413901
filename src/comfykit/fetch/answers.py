"""What the headers of an answer say: which bytes these are of which object, or what went wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from comfykit.errors import TransferError
from comfykit.fetch import hubs
from comfykit.fetch.retry import BUSY, EXPIRED, Cause, fault, read_retry_after
from comfykit.fetch.spans import Span
from comfykit.fetch.urls import host

_RANGE = re.compile(r"bytes\s+(\d{1,19})-(\d{1,19})/(\d{1,19})", re.IGNORECASE)
_WHOLE = re.compile(r"bytes\s+\*/(\d{1,19})", re.IGNORECASE)
_SHA256 = re.compile(r'(?:W/)?"?([0-9a-f]{64})"?')


@dataclass(frozen=True, slots=True)
class Identity:
    """Which object bytes belong to, as servers tell it.

    `etag` and `modified` are those of the server that gives the bytes; `sha256` and `announced_size` are
    what a hub said on the way there (Hugging Face: `X-Linked-ETag` and `X-Linked-Size` of the redirect).
    """

    size: int | None = None
    etag: str | None = None
    modified: str | None = None
    sha256: str | None = None
    announced_size: int | None = None

    @property
    def validator(self) -> str | None:
        """What `If-Range` may carry: a strong ETag."""
        return self.etag if self.etag and not self.etag.startswith("W/") else None

    @property
    def can_resume(self) -> bool:
        """Whether a later answer can be told to be of the same object."""
        return self.size is not None and bool(self.etag or self.modified or self.sha256)


def read_identity(headers: Mapping[str, str], size: int | None) -> Identity:
    """The identity that the last answer of a chain tells, without what hubs announced."""
    etag = headers.get("ETag", "").strip() or None
    return Identity(size, etag, headers.get("Last-Modified", "").strip() or None)


def announced(headers: Mapping[str, str]) -> tuple[str | None, int | None]:
    """SHA-256 and size that a hub announces in a redirect, or in the answer itself."""
    match = _SHA256.fullmatch(headers.get("X-Linked-ETag", "").strip())
    return (match[1] if match else None), number(headers.get("X-Linked-Size"))


def same_object(old: Identity, new: Identity) -> bool | None:
    """Whether two answers are of one object; None where they do not tell.

    A checksum decides before an ETag: the same file has other ETags on other hosts.
    """
    if old.size is not None and new.size is not None and old.size != new.size:
        return False
    for ours, theirs in ((old.sha256, new.sha256), (old.etag, new.etag), (old.modified, new.modified)):
        if ours and theirs:
            return ours == theirs
    return None


def number(text: str | None) -> int | None:
    """A whole number of a header; None for anything else."""
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def check_status(
    url: str,
    status: int,
    headers: Mapping[str, str],
    *,
    redirected: bool = False,
    token_from: str | None = None,
) -> None:
    """Raise the fault of an answer that is neither the file nor a part of it.

    `redirected` means that the address came from a redirect that led to the file before: then a
    refusal may mean that a signed link has expired. `token_from` is where the token that was sent stood.
    """
    name = host(url)
    if redirected and status in EXPIRED:
        raise fault(Cause.EXPIRED, f"{name} answered {status}: its link has expired", status=status)
    if status in (401, 403):
        raise _refused(url, status, headers, token_from)
    if status == 407:
        raise fault(Cause.ODD, "the proxy wants a login (407)", "set it in HTTPS_PROXY", status=status)
    if status in (404, 410):
        raise fault(Cause.MISSING, f"{name} answered {status}: there is no such file", status=status)
    if status == 451:
        raise fault(
            Cause.MISSING, f"{name} answered 451: the file is withheld for legal reasons", status=status
        )
    if status in BUSY:
        words = {429: "too many requests", 408: "it waited too long"}.get(status, "it cannot answer now")
        raise fault(
            Cause.BUSY, f"{name} answered {status}: {words}", status=status, wait=read_retry_after(headers)
        )
    if status not in (200, 206, 416):
        raise fault(Cause.ODD, f"{name} answered {status} instead of the file", status=status)
    coding = headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise fault(Cause.ODD, f"{name} sent the file coded as {coding}, which it was asked not to")


def read_part(url: str, asked: Span, headers: Mapping[str, str]) -> tuple[Span, int]:
    """The bytes that a 206 holds and the size of the file; raises for others than were asked for."""
    name, text = host(url), headers.get("Content-Range", "")
    if headers.get("Content-Type", "").lower().startswith("multipart/"):
        raise fault(Cause.ODD, f"{name} sent several parts when one was asked for")
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        told = f"Content-Range {text[:80]!r}" if text else "no Content-Range"
        raise fault(Cause.ODD, f"{name} sent a part of the file with {told}")
    start, last, total = (int(group) for group in match.groups())
    length = number(headers.get("Content-Length"))
    if start != asked.start or not start <= last < total or last >= asked.end or length not in (
        None,
        last + 1 - start,
    ):  # fmt: skip
        raise fault(
            Cause.ODD,
            f"{name} was asked for the bytes from {asked.start} to {asked.end - 1} "
            f"and sent {text.strip()[:80]}",
        )
    return Span(start, last + 1), total


def read_total(headers: Mapping[str, str]) -> int | None:
    """The size of the file in a 416."""
    match = _WHOLE.fullmatch(headers.get("Content-Range", "").strip())
    return int(match[1]) if match else None


def _refused(url: str, status: int, headers: Mapping[str, str], token_from: str | None) -> TransferError:
    refusal = hubs.Refusal(url, status, headers.get("X-Error-Code", ""), token_from)
    usual = (
        "give a token as 'header=Authorization: Bearer TOKEN' below the address, "
        "and accept the model's terms on its page if it has any"
    )
    return fault(
        Cause.REFUSED,
        f"{host(url)} answered {status}: it wants a login, or the address has expired",
        hubs.hint(refusal) or usual,
        status=status,
    )
